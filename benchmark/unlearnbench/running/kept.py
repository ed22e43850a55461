"""The edited tensors of a run, kept beside its record with `--keep_edits`, so that more tasks need no new edit."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnbench.model.digest import weights_digest
from unlearnbench.records.record import Record
from unlearnbench.running.edit import Edit
from unlearnbench.running.guard import Fingerprint, fingerprint

if TYPE_CHECKING:
    import torch

    from unlearnbench.model.model import Model

EDIT = "edit.safetensors"


def keep(model: Model, edit: Edit, folder: Path) -> None:
    """Store the tensors of the edit's localization as they are now, replaced atomically."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f".{EDIT}.*.part"):
        old.unlink(missing_ok=True)  # of a command that was killed
    part = folder / f".{EDIT}.{os.getpid()}.part"
    tensors = {name: model.parameters[name].detach().cpu().contiguous() for name in sorted(edit.where.tensors)}
    try:
        save_file(tensors, part)
        part.replace(folder / EDIT)
    except SafetensorError as error:  # how it says that the disk is full
        raise OSError(errno.ENOSPC, str(error)) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def reapplied(
    model: Model, record: Record | None, folder: Path
) -> Iterator[tuple[Fingerprint, Mapping[str, torch.Tensor]] | None]:
    """Within: the model has the kept edit. Yields what it then is and the tensors of before.

    Yields None, with the model untouched, where no edit was kept, or where the kept one is not the record's.
    """
    tensors = _stored(model, folder) if record is not None else None
    if record is None or tensors is None:
        yield None
        return
    with model.restored(tensors) as copies:
        model.write(tensors)
        state = fingerprint(model)
        if weights_digest(state.weights) == record.weights.edited_sha256:
            yield state, copies
            return
    yield None


def _stored(model: Model, folder: Path) -> dict[str, torch.Tensor] | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not (folder / EDIT).is_file():
        return None
    try:
        found = load_file(folder / EDIT)
    except (SafetensorError, OSError):
        return None
    fits = all(name in model.parameters and model.parameters[name].shape == t.shape for name, t in found.items())
    return found if found and fits else None
