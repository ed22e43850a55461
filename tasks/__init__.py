"""Tasks: one question per file, asked of every fact set that has what it needs. Being here is registration."""
