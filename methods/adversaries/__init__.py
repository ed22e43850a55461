"""Adversaries: *against whom* to forget, one per file. Being here is registration."""
