"""One seed per purpose, so that no two stages share a stream of random numbers."""

import hashlib


def derive_seed(seed: int, *purpose: str) -> int:
    """A stable seed below 2**32 for this purpose; independent of Python's own hash."""
    text = "/".join([str(seed), *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
