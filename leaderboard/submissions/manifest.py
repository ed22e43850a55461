"""submission.json: who submits, how the runs were chosen, and every file with its digest."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from unlearnbench.records.spec import Frozen

SCHEMA_VERSION: Literal["1.0.0"] = "1.0.0"
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Link = Annotated[str, StringConstraints(pattern=r"^https://[A-Za-z0-9./_~%?&=#:+@-]{1,400}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
SLUG = r"^[a-z0-9][a-z0-9-]{0,63}$"


class Tuning(Frozen):
    """How the settings were chosen; the board shows it beside the score."""

    trials: int = Field(ge=0)
    """How many settings of each method were tried, all tries counted; 0: none but the defaults."""
    on: Literal["nothing", "dev"]
    """What they were judged by. Nothing that the board asks may be: those who looked at it cannot submit."""


class SubmittedFile(Frozen):
    """A file, as it was packed."""

    path: str
    sha256: Digest
    size: int = Field(ge=0)


class Manifest(Frozen):
    """What a submission says of itself."""

    schema_version: Literal["1.0.0"] = SCHEMA_VERSION
    name: str = Field(pattern=SLUG)
    """The folder's name, for good: a later version is another submission."""
    submitter: Text
    description: Text
    license: Literal["CC-BY-4.0", "CC0-1.0"] = "CC-BY-4.0"
    """Under which the records may be used."""
    method_url: Link | None = None
    """The code of the method, where it is not one of ours; a paper."""
    weights_url: Link | None = None
    """Where the edited tensors are, if they are too large to be beside the records; as `RUN/edit.safetensors`."""
    tuning: Tuning
    supersedes: tuple[Annotated[str, StringConstraints(pattern=SLUG)], ...] = ()
    """Earlier submissions that this one takes the place of; they stay, and are shown as superseded."""
    files: tuple[SubmittedFile, ...]
    """All others in the folder."""
