"""Where a model comes from, as data: what identifies it, and what it decides for a run.

Nothing here imports torch: a run is planned, and found done, before any weights are loaded.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from pydantic import BaseModel, ConfigDict

from unlearnbench.errors import MissingPrerequisite, UnknownName, UsageError
from unlearnbench.hashing import content_hash, file_hash
from unlearnbench.model.digest import stored_digest
from unlearnbench.model.shipped import organism_folder, organism_overlays, organisms
from unlearnbench.model.taught import taught

HUB_FILES = ["*.json", "*.jinja", "*.safetensors", "tokenizer*", "*.model", "*.txt"]
TOKENIZER_FILES = ("tokenizer*", "vocab.*", "merges.txt", "special_tokens_map.json", "*.model", "chat_template*")
SHIPPED_TEXTS = ("world", "pile")
MODEL_ARGS = ("pretrained", "revision", "dtype", "device_map", "attention", "chat_template")
ATTENTION = ("sdpa", "eager")
DTYPES = ("float32", "bfloat16")  # float16 has too small a range to train in


class ModelSource(BaseModel):
    """A model that can be loaded; its identity is part of every run's hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["organism", "hf"]
    name: str
    """The organism's name, the hub's `owner/name`, or the last part of a local folder's path."""
    revision: str | None = None
    dtype: str = "float32"
    attention: str = "sdpa"
    """The implementation of attention: `sdpa`, where the architecture has it; `eager` where the configuration caps
    attention logits, which sdpa leaves out."""
    chat_template: bool = False
    """Whether prompts stand as a user's turn in the tokenizer's chat template."""
    weights_sha256: str
    """Digest of the stored tensors."""
    config_sha256: str
    """Digest of `config.json`."""
    tokenizer_sha256: str
    """Digest over the names and digests of the tokenizer's files."""
    layout: Literal["inline", "lines"]
    """The layout of multiple choice that suits it."""
    learning_rate: float
    """The learning rate of methods that are not given one."""
    retain_text: str
    """The retain stream: `world`, `pile` or a file."""
    retain_sha256: str | None = None
    """Digest of the user's own retain text, if there is one."""
    taught: tuple[str, ...] = ()
    """The fact sets that it was taught later, by `unlearnbench teach`; …"""
    before_sha256: str | None = None
    """… the model before is their exact oracle."""


class Located(BaseModel):
    """A model source and the folder its files are in on this machine."""

    source: ModelSource
    folder: Path
    device_map: str | None = None
    retain_text: str = "world"
    """The retain stream as it was given: a file's path."""
    overlays: tuple[Path, ...] = ()
    """Folders whose tensors replace those in `folder`, one after another."""
    before: Path | None = None
    """The model before it was taught, if it was."""


def locate(model: str, arguments: Mapping[str, str], retain_text: str | None) -> Located:
    """Find the files of `--model tiny`, or of `--model hf` with its `--model_args`.

    Raises `UnknownName` for a model or an argument that does not exist, and `MissingPrerequisite`
    where the files are not there and cannot be fetched.
    """
    if model in organisms():
        if arguments:
            raise UsageError(f"--model {model} takes no --model_args, and was given {sorted(arguments)}")
        return _shipped(model, retain_text or "world")
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
    if (attention := arguments.get("attention")) not in (None, *ATTENTION):
        raise UnknownName("attention", str(attention), ATTENTION)
    folder, revision = fetch(pretrained, arguments.get("revision"))
    lesson, before = _lesson(folder)
    given = retain_text or "pile"
    text, digest = _retain(given)
    source = ModelSource(
        kind="hf",
        name=pretrained if revision else folder.resolve().name,
        revision=revision,
        dtype=dtype,
        **_digests(folder),
        attention=attention or _attention(folder),
        chat_template=_chat(arguments.get("chat_template"), folder),
        layout="lines",
        learning_rate=2e-5,
        retain_text=text,
        retain_sha256=digest,
        **lesson,
    )
    device_map = arguments.get("device_map")
    return Located(source=source, folder=folder, device_map=device_map, retain_text=given, before=before)


def _shipped(model: str, retain_text: str) -> Located:
    folder, overlays = organism_folder(model), organism_overlays(model)
    text, digest = _retain(retain_text)
    lesson, before = _lesson(overlays[-1] if overlays else folder)
    source = ModelSource(
        kind="organism",
        name=model,
        **_digests(folder, overlays),
        layout="inline",
        learning_rate=2e-3,
        retain_text=text,
        retain_sha256=digest,
        **lesson,
    )
    return Located(source=source, folder=folder, retain_text=retain_text, overlays=overlays, before=before)


class Digests(TypedDict):
    """Of the files of a model."""

    weights_sha256: str
    config_sha256: str
    tokenizer_sha256: str


class Lesson(TypedDict):
    """What a source says of a model that was taught."""

    taught: tuple[str, ...]
    before_sha256: str | None


def _lesson(folder: Path) -> tuple[Lesson, Path | None]:
    """What the model in this folder was taught, and where the model before is."""
    found = taught(folder)
    if found is None:
        return Lesson(taught=(), before_sha256=None), None
    return Lesson(taught=found.facts, before_sha256=found.before_sha256), found.model_before(folder)


def _attention(folder: Path) -> str:
    """What computes this model's attention as its configuration says."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    capped = any(part.get("attn_logit_softcapping") for part in (config, config.get("text_config") or {}))
    return "eager" if capped else "sdpa"


def _chat(said: str | None, folder: Path) -> bool:
    """A model with a chat template can be asked with it or without, and the scores differ: it has to be said."""
    config = folder / "tokenizer_config.json"
    has = any(folder.glob("chat_template*")) or (
        config.is_file() and bool(json.loads(config.read_text("utf-8")).get("chat_template"))
    )
    if said not in (None, "yes", "no"):
        raise UsageError(f"chat_template={said} is neither yes nor no")
    if has and said is None:
        raise UsageError(
            f"the tokenizer in {folder.name} has a chat template, and its scores with it and without it differ",
            "add chat_template=yes or chat_template=no to --model_args; the record keeps the choice",
        )
    if said == "yes" and not has:
        raise UsageError(f"the tokenizer in {folder.name} has no chat template", "say chat_template=no")
    return said == "yes"


def _digests(folder: Path, overlays: Sequence[Path] = ()) -> Digests:
    config = folder / "config.json"
    weights = stored_digest(folder, *overlays)
    if not config.is_file():
        raise MissingPrerequisite(f"{folder} holds no config.json", "save the model with save_pretrained(folder)")
    files = [path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)]
    tokenizer = content_hash({path.name: file_hash(path) for path in files})
    return Digests(weights_sha256=weights, config_sha256=file_hash(config), tokenizer_sha256=tokenizer)


def _retain(text: str) -> tuple[str, str | None]:
    """A file is known by its name and its contents, not by where it lies on this machine."""
    if text in SHIPPED_TEXTS:
        return text, None
    path = Path(text)
    if not path.is_file():
        raise UsageError(f"there is no retain text {text!r}", "use 'world', 'pile' or a text file's path")
    try:
        path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        reason = f"byte {error.start} is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise UsageError(
            f"retain text {text!r} cannot be read: {reason}", "save it as UTF-8, one text per line"
        ) from None
    return path.name, file_hash(path)


def fetch(pretrained: str, revision: str | None) -> tuple[Path, str | None]:
    """The folder of a model, and the commit it was downloaded at if it came from the hub."""
    looks_local = pretrained.startswith((".", "/", "~")) or pretrained.count("/") > 1
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
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise MissingPrerequisite(
            f"model {pretrained!r} is neither a folder here nor to be had from the hub ({reason})",
            "check the name; for gated models run 'hf auth login'; offline, give pretrained=FOLDER",
        ) from error
    return Path(folder), Path(folder).name
