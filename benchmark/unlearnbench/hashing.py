"""Content hashes: RFC 8785 canonical JSON and SHA-256, so that any language can re-check them."""

import hashlib
from pathlib import Path
from typing import Any

import rfc8785


def content_hash(value: Any) -> str:
    """`sha256:…` of the canonical JSON of `value`; NaN, infinities and integers of 2**53 are refused."""
    return f"sha256:{hashlib.sha256(rfc8785.dumps(value)).hexdigest()}"


def bytes_hash(data: bytes) -> str:
    """`sha256:…` of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def text_hash(text: str) -> str:
    """`sha256:…` of UTF-8 text."""
    return bytes_hash(text.encode())


def file_hash(path: Path) -> str:
    """`sha256:…` of a file's bytes."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
