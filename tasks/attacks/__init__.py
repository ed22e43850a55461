"""Attacks: tasks that may train or perturb the model, which is put back, one per file. Being here is registration."""
