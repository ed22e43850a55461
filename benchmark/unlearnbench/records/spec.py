"""What decides a run's numbers, defaults filled in, as data. The hashes of these are identities.

An `EditSpec` identifies an edit and the folder of its run; a `TaskSpec` identifies one question about it.
"""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from unlearnbench.hashing import content_hash
from unlearnbench.model.source import ModelSource

SEED_LIMIT = 2**32
SPEC_VERSION = 3
"""Raised when the meaning of the hashes changes."""
SCORES_VERSION = 2
"""Raised with every change that is told under *Scores changed* in the CHANGELOG; tables name it."""


class Frozen(BaseModel):
    """A frozen piece of a record: strict types, no unknown fields, no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class EntrySpec(Frozen):
    """An entry by name, with all its settings and the digest of every file whose code decides its numbers."""

    name: str
    version: int
    source_sha256: str
    settings: dict[str, Any]
    files: dict[str, str] = Field(default_factory=dict)
    """Digests of the files that its settings name."""
    parts: dict[str, "EntrySpec"] = Field(default_factory=dict)
    """Entries that it is made of, by field: `localizer`, `objective`, `adversary`; they may have parts, too."""

    def everything(self) -> Iterator["EntrySpec"]:
        """It, its parts and theirs."""
        yield self
        for part in self.parts.values():
            yield from part.everything()


class MethodSpec(EntrySpec):
    """A method."""

    inputs: dict[str, str]
    """Digests of what it reads besides the model and the facts."""


class FactsSpec(Frozen):
    """A fact set, and what a method sees of this seed's split, before facts unknown to the base are left out."""

    name: str
    variant: str
    version: int
    settings: dict[str, Any]
    file_sha256: str | None = None
    """Digest of the user's own facts file, if there is one."""
    items_sha256: str
    """Of the facts that methods see; what tasks see besides is in the `TaskSpec`."""

    @property
    def label(self) -> str:
        """`name:variant`."""
        return f"{self.name}:{self.variant}"


class EditSpec(Frozen):
    """One edit: a method on a fact set, on a model, at a seed."""

    spec_version: int = SPEC_VERSION
    scores_version: int = SCORES_VERSION
    method: MethodSpec
    facts: FactsSpec
    model: ModelSource
    seed: int = Field(ge=0, lt=SEED_LIMIT)

    @property
    def hash(self) -> str:
        """The edit's identity."""
        return content_hash(self.model_dump(mode="json"))

    @property
    def path(self) -> str:
        """Where the record lies below the results folder."""
        model = re.sub(r"[^a-z0-9._-]+", "-", self.model.name.lower())
        digest = self.hash.removeprefix("sha256:")[:16]
        return f"{model}/{self.facts.name}-{self.facts.variant}/{self.method.name}/seed-{self.seed}-{digest}"


class TaskSpec(EntrySpec):
    """A task by full name (`sports/forget`), as it is asked."""

    items_sha256: str
    """Of all items of the split, held-out forms, test items and those unknown to the base included."""
    batch_size: int = Field(ge=1)
    """Prompts in a forward pass: it decides the last bits."""

    @property
    def hash(self) -> str:
        """The identity of the question, whatever model it is asked of."""
        return content_hash(self.model_dump(mode="json"))

    @property
    def slug(self) -> str:
        """A file name for what it brings."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name.replace("/", "."))  # lm-eval's names may hold anything
        return f"{name}-{self.hash.removeprefix('sha256:')[:8]}"
