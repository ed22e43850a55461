"""lm-eval's tasks asked of a model that is being edited: lm-eval's numbers, sooner, and nothing left changed."""
