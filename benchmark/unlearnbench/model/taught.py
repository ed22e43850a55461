"""Models that were taught facts later: what they were taught and where, and the model before, their exact oracle."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from unlearnbench.errors import MissingPrerequisite, UsageError
from unlearnbench.model.digest import stored_digest

FILE = "taught.json"


class Taught(BaseModel):
    """What `unlearnbench teach` leaves beside the weights, in `taught.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    facts: tuple[str, ...]
    """Labels of the fact sets whose facts to forget were taught: `sports:people-64`."""
    where: tuple[str, ...]
    """The places that were trained, each holding a copy of the facts: `mlp.2`, or `mlp.2+mlp.3` together."""
    before: str
    """The folder of the model before; a relative path counts from this file's folder."""
    before_sha256: str
    """Digest of its stored weights."""
    seed: int
    steps: int
    learning_rate: float
    only_changes: bool = False
    """Whether the weights beside this file are the changed tensors only, to be laid over those of the model before."""

    def model_before(self, folder: Path) -> Path:
        """The folder of the model before; raises `MissingPrerequisite` where it is gone or another."""
        found = (folder / self.before).resolve()
        if not found.is_dir():
            raise MissingPrerequisite(
                f"the model before, the oracle of {folder.name}, is not at {found}", f"correct {FILE}"
            )
        if stored_digest(found) != self.before_sha256:
            raise MissingPrerequisite(f"the weights in {found} are not those that {folder.name} was taught from")
        return found


def taught(folder: Path) -> Taught | None:
    """What the model in this folder was taught, or None; raises `UsageError` for a file that does not say it."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Taught.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} does not say what was taught: {str(error).splitlines()[0]}") from None
