"""Files of CounterFact whose size or checksum somebody has written down."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownFile:
    """What a file of this name should be."""

    name: str
    bytes: int
    sha256: str | None
    """As `sha256:…`; None where only the size is known."""
    note: str

    def __str__(self) -> str:
        checksum = f" and {self.sha256}" if self.sha256 else ""
        return f"{self.name} with {self.bytes:,} bytes{checksum} ({self.note})"


KNOWN_FILES = (
    KnownFile(
        "counterfact.json",
        45_108_470,
        "sha256:d017056125178a13728594e66a801357a8db9ed7973a7425554bb4271de9fc6f",
        "of ROME, as an independent copy records it: scalable-model-editing/rebuilding-rome@01d0c9f",
    ),
    KnownFile("train-00000-of-00001-05d11247db7abce8.parquet", 11_136_400, None, "of azhx/counterfact@c01c413"),
    KnownFile("test-00000-of-00001-bacb83500fca49a9.parquet", 1_250_790, None, "of azhx/counterfact@c01c413"),
)


def known_file(name: str, size: int) -> KnownFile | None:
    """The known file of that name, or else of that size."""
    by_name = [known for known in KNOWN_FILES if known.name == name]
    return next(iter(by_name + [known for known in KNOWN_FILES if known.bytes == size]), None)


def difference(name: str, size: int, sha256: str) -> str:
    """What sets a file apart from the known one of its name or size; empty if nothing does, or none is known."""
    known = known_file(name, size)
    if known is None or (size == known.bytes and known.sha256 in (None, sha256)):
        return ""
    return f"it has {size:,} bytes and {sha256}; known is {known}"
