"""Where a model comes from, as data: what identifies it, and what it decides for a run.

Nothing here imports torch: a run is planned, and found done, before any weights are loaded.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from unlearnbench.digest import stored_digest
from unlearnbench.errors import MissingPrerequisite, UnknownName, UsageError
from unlearnbench.organisms.shipped import organism_folder, organisms

HUB_FILES = ["*.json", "*.safetensors", "tokenizer*", "*.model", "*.txt"]
MODEL_ARGS = ("pretrained", "revision", "dtype", "device_map")
DTYPES = ("float32", "bfloat16", "float16")


class ModelSource(BaseModel):
    """A model that can be loaded; its identity is part of every run's hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["organism", "hf"]
    name: str
    """The organism's name, the hub's `owner/name`, or the last part of a local folder's path."""
    revision: str | None = None
    dtype: str = "float32"
    weights_sha256: str
    """Digest of the stored tensors."""
    layout: Literal["inline", "lines"]
    """The layout of multiple choice that suits it."""
    learning_rate: float
    """The learning rate of methods that are not given one."""
    retain_text: str
    """The retain stream: `world`, `pile` or a file."""


class Located(BaseModel):
    """A model source and the folder its files are in on this machine."""

    source: ModelSource
    folder: Path
    device_map: str | None = None


def locate(model: str, arguments: Mapping[str, str], retain_text: str | None) -> Located:
    """Find the files of `--model tiny`, or of `--model hf` with its `--model_args`.

    Raises `UnknownName` for a model or an argument that does not exist, and `MissingPrerequisite`
    where the files are not there and cannot be fetched.
    """
    if model in organisms():
        if arguments:
            raise UsageError(f"--model {model} takes no --model_args, and was given {sorted(arguments)}")
        folder = organism_folder(model)
        source = ModelSource(
            kind="organism",
            name=model,
            weights_sha256=stored_digest(folder),
            layout="inline",
            learning_rate=1e-3,
            retain_text=retain_text or "world",
        )
        return Located(source=source, folder=folder)
    if model != "hf":
        raise UnknownName("model", model, [*organisms(), "hf"])
    for key in arguments:
        if key not in MODEL_ARGS:
            raise UnknownName("model argument", key, MODEL_ARGS)
    pretrained = arguments.get("pretrained")
    if not pretrained:
        raise UsageError("--model hf needs a model", "add --model_args pretrained=google/gemma-2-2b")
    dtype = arguments.get("dtype", "float32")
    if dtype not in DTYPES:
        raise UnknownName("dtype", dtype, DTYPES)
    folder, revision = _fetch(pretrained, arguments.get("revision"))
    source = ModelSource(
        kind="hf",
        name=pretrained if revision else folder.resolve().name,
        revision=revision,
        dtype=dtype,
        weights_sha256=stored_digest(folder),
        layout="lines",
        learning_rate=2e-5,
        retain_text=retain_text or "pile",
    )
    return Located(source=source, folder=folder, device_map=arguments.get("device_map"))


def _fetch(pretrained: str, revision: str | None) -> tuple[Path, str | None]:
    """The folder of a model, and the commit it was downloaded at if it came from the hub."""
    looks_local = pretrained.startswith((".", "/", "~")) or pretrained.count("/") != 1
    path = Path(pretrained).expanduser()
    if path.is_dir() or looks_local:
        if revision:
            raise UsageError(f"revision={revision} is for models on the hub, and {pretrained} is a folder")
        return path, None
    from huggingface_hub import snapshot_download

    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    try:
        folder = snapshot_download(pretrained, revision=revision, allow_patterns=HUB_FILES, local_files_only=offline)
    except Exception as error:  # the hub raises a dozen kinds for "not there" and "not reachable"
        reason = str(error).splitlines()[0]
        raise MissingPrerequisite(
            f"model {pretrained!r} is neither a folder here nor to be had from the hub ({reason})",
            "check the name; for gated models run 'hf auth login'; offline, give pretrained=FOLDER",
        ) from error
    return Path(folder), Path(folder).name
