"""Ways to find where a fact is: what localizers are made of."""
