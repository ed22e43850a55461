"""What a run is: everything that decides its numbers, defaults filled in. Its hash is its identity."""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from unlearnbench.hashing import content_hash
from unlearnbench.model.source import ModelSource

SEED_LIMIT = 2**32
SPEC_VERSION = 1
"""Raised when the meaning of the hash changes."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class MethodSpec(_Part):
    """A method by name, version and source, with all its settings and what else it reads."""

    name: str
    version: int
    source_sha256: str
    inputs: dict[str, str]
    settings: dict[str, Any]


class FactsSpec(_Part):
    """A fact set and the items that this seed's split consists of."""

    name: str
    variant: str
    version: int
    source_sha256: str
    file_sha256: str | None = None
    """Digest of the user's own facts file, if there is one."""
    items_sha256: str


class TaskSpec(_Part):
    """A task by name (`sports/forget`), version and source, with all its settings."""

    name: str
    version: int
    source_sha256: str
    settings: dict[str, Any]


class EvalSpec(_Part):
    """How the model is scored."""

    batch_size: int = Field(ge=1)


class RunSpec(_Part):
    """One cell: a method on a fact set, asked these tasks, on a model, at a seed."""

    spec_version: int = SPEC_VERSION
    method: MethodSpec
    facts: FactsSpec
    tasks: list[TaskSpec]
    model: ModelSource
    eval: EvalSpec
    seed: int = Field(ge=0, lt=SEED_LIMIT)

    @property
    def hash(self) -> str:
        """The run's identity."""
        return content_hash(self.model_dump(mode="json"))

    @property
    def path(self) -> str:
        """Where the record lies below the results folder."""
        model = re.sub(r"[^a-z0-9._-]+", "-", self.model.name.lower())
        digest = self.hash.removeprefix("sha256:")[:16]
        return f"{model}/{self.facts.name}-{self.facts.variant}/{self.method.name}/seed-{self.seed}-{digest}"
