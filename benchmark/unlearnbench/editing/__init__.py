"""How a model is edited: where, how, against whom, and the one optimizer loop."""
