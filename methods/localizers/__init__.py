"""Localizers: *where* to write, one per file. Being here is registration."""
