"""A Hugging Face causal language model with named components, and where it comes from."""
