"""Weights digests: one hash for a model's tensors, independent of sharding and file metadata."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from unlearnbench.errors import MissingPrerequisite, UsageError

HEADER_LIMIT = 100 * 2**20  # what safetensors itself accepts


class TensorBytes(NamedTuple):
    """A tensor as data: name, dtype in safetensors' words (`F32`), shape, little-endian bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview


def tensor_digests(tensors: Iterable[TensorBytes]) -> dict[str, str]:
    """The SHA-256 of each tensor's (name, dtype, shape, bytes), by name."""
    found = {}
    for tensor in tensors:
        digest = hashlib.sha256(f"{tensor.name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
        digest.update(tensor.data)
        found[tensor.name] = digest.hexdigest()
    return found


def weights_digest(digests: Mapping[str, str]) -> str:
    """`sha256:…` over the sorted per-tensor digests: one hash for all weights."""
    rows = "\n".join(f"{name} {value}" for name, value in sorted(digests.items()))
    return f"sha256:{hashlib.sha256(rows.encode()).hexdigest()}"


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder; raises where there is no folder or no such file."""
    if not folder.is_dir():
        raise MissingPrerequisite(
            f"there is no model folder {folder}",
            "give a folder with config.json and *.safetensors, or the name of a model on the hub",
        )
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise MissingPrerequisite(
            f"{folder} holds no *.safetensors file",
            "save the model with save_pretrained(folder); pickled weights (.bin, .pt) are never loaded",
        )
    return files


def stored_digest(folder: Path, *overlays: Path) -> str:
    """The digest of the tensors stored in a model folder, read without torch; read again only when files change.

    Tensors of the overlays replace those of the same name.
    """
    files = [path for one in (folder, *overlays) for path in weight_files(one)]
    return _stored_digest(tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in files))


@cache
def _stored_digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    return weights_digest(tensor_digests(tensor for path, _, _ in files for tensor in _tensors_of(path)))


def _tensors_of(path: Path) -> Iterable[TensorBytes]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= HEADER_LIMIT:
            raise UsageError(f"{path} is not a safetensors file")
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            places = {name: (*entry["data_offsets"], entry["dtype"], entry["shape"]) for name, entry in header.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(f"{path} is not a safetensors file, or is cut off") from None
        for name, (start, end, dtype, shape) in places.items():
            file.seek(8 + length + start)
            data = file.read(end - start)
            if len(data) != end - start:
                raise UsageError(f"{path} is not a safetensors file, or is cut off: {name!r} is incomplete")
            yield TensorBytes(name, dtype, tuple(shape), data)
