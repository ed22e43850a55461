"""The edited model of a run as a normal Hugging Face folder, written with `--save_model`."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnbench.model.saving import save_pretrained
from unlearnbench.running.lm_eval_documents import FILE, Handout

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

FOLDER = "model"


def save_model(model: Model, folder: Path, handout: Handout) -> None:
    """Write the model as it is now, with its tokenizer and what was asked of it, into `model/` of a run's folder.

    All of it or nothing.
    """
    from safetensors import SafetensorError

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f".{FOLDER}.*.part"):
        shutil.rmtree(old, ignore_errors=True)  # of a command that was killed
    part = folder / f".{FOLDER}.{os.getpid()}.part"
    try:
        save_pretrained(model, part)
        (part / FILE).write_text(handout.as_json(), "utf-8")
        if (folder / FOLDER).exists():  # of another hand: set aside whole before it is removed
            (folder / FOLDER).replace(folder / f".{FOLDER}.old.{os.getpid()}.part")
        part.replace(folder / FOLDER)
    except SafetensorError as error:  # how it says that the disk is full
        raise OSError(errno.ENOSPC, str(error)) from error
    finally:
        for old in folder.glob(f".{FOLDER}.*.part"):
            shutil.rmtree(old, ignore_errors=True)


def is_saved(folder: Path) -> bool:
    """Whether the model of a run is there."""
    return (folder / FOLDER / "config.json").is_file()
