"""Fact sets: one source of facts per file. Being here is registration."""
