"""Methods: one per file. Being here is registration."""
