"""Attacks: tasks that may train or perturb a copy of the model, one per file. Being here is registration."""
