"""An edited model as a normal Hugging Face folder."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnbench.errors import MissingPrerequisite, UsageError
from unlearnbench.factset import FactSet
from unlearnbench.runspec import RUN, RunSpec

if TYPE_CHECKING:
    from unlearnbench.model import Model


def is_kept(folder: Path, spec: RunSpec) -> bool:
    """Whether the folder holds this run's model.

    Raises `UsageError` where it holds anything else: no run deletes what it has not written.
    """
    try:
        if json.loads((folder / RUN).read_text("utf-8"))["spec_hash"] == spec.hash:
            return True
        holds = "the model of another run"
    except (OSError, ValueError, LookupError, TypeError):
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return False
        holds = "other things" if folder.is_dir() else "a file"
    raise UsageError(f"--save_model {folder} is taken: there is {holds}", "name a folder that does not exist yet")


def save_model(model: "Model", folder: Path, spec: RunSpec, facts: FactSet) -> None:
    """Write weights, configuration, tokenizer and the run's identity; the folder appears when it is complete.

    With the run stand the settings of its facts and which of them the model knows, so that the same questions
    can be asked again without it.

    Raises `MissingPrerequisite` where it cannot be written, `UsageError` where something else is there.
    """
    is_kept(folder, spec)
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        model.network.save_pretrained(part)
        model.tokenizer.save_pretrained(part)
        run = {"spec_hash": spec.hash, "spec": spec.model_dump(mode="json"), "facts": facts.as_given()}
        (part / RUN).write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except OSError as error:
        raise MissingPrerequisite(
            f"the edited model cannot be written to {folder}: {error}", "see --save_model"
        ) from None
