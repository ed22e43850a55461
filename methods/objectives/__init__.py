"""Objectives: *how* to forget, one per file. Being here is registration."""
