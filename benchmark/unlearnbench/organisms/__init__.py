"""Organisms: tiny language models pretrained here on a written-down world.

Because the world is written down, a model that never saw a fact (the *oracle*), and people nobody
ever wrote about (the *never-known*), exist exactly instead of being approximated.
"""
