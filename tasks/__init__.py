"""Tasks: one question per file, asked of every fact set that names it. Being here is registration."""
