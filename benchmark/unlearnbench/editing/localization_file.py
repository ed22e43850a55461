"""Localizations as files: what `unlearnbench localize` writes, and what any other tool may write instead."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unlearnbench.editing.localization import Localization
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.model.matrices import matrices_of

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

FORMAT: Literal["unlearnbench-localization-1"] = "unlearnbench-localization-1"
SHAPE = '{"components": ["mlp.2"]}, or "tensors": […], or "scores": {"mlp.2": 0.7, …} for a budget to choose from'


class LocalizationFile(BaseModel):
    """One localization as JSON. `components`, `tensors` or `scores` is enough; the rest says where it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal["unlearnbench-localization-1"] = FORMAT
    components: tuple[str, ...] = ()
    """Whole components that may be trained, best first: `mlp.2`, `attention.0`, `embeddings`."""
    tensors: tuple[str, ...] = ()
    """Single tensors that may be trained, by the names that the model's own file gives them."""
    scores: dict[str, float] = Field(default_factory=dict)
    """How every component scored; a budget chooses among them where nothing else is named."""
    localizer: str | None = None
    """What chose."""
    model: str | None = None
    """Of which model, …"""
    weights_sha256: str | None = None
    """… and which weights."""
    facts: str | None = None
    """Where which facts are."""
    seed: int | None = None
    """Of the split and of everything drawn."""

    @property
    def text(self) -> str:
        """As it is written."""
        said = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps({"format": self.format, **said}, indent=1, ensure_ascii=False) + "\n"

    def localization(self, model: Model, budget: float) -> Localization:
        """What it names, in this model; without names, the best scores up to the budget.

        Scores may be of components or of single matrices. Beside names they are only shown.
        Raises `UnknownName` for components and tensors that the model has not, `UsageError` for a budget too small.
        """
        _refuse_unknown("component", self.components, model.places)
        _refuse_unknown("tensor", self.tensors, model.parameters)
        if not self.components and not self.tensors:
            if set(self.scores) <= set(matrices := matrices_of(model)):
                return Localization.top(model, self.scores, budget, parts=matrices)
            _refuse_unknown("component", self.scores, model.components)
            return Localization.top(model, self.scores, budget)
        named = Localization.of(model, self.components)
        return Localization(named.tensors | frozenset(self.tensors), self.components, self.scores)


def read_localization(path: Path) -> LocalizationFile:
    """Read one. Raises `UsageError` for a file that is not there, is no JSON, has other keys, or names nothing."""
    if not path.is_file():
        raise UsageError(
            f"there is no localization {str(path)!r}", "`unlearnbench localize --output FOLDER` makes some"
        )
    try:
        found = LocalizationFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise UsageError(f"localization {path.name}: {where}: {first['msg']}", f"it looks like {SHAPE}") from None
    except (ValueError, OSError) as error:  # UnicodeDecodeError among them
        raise UsageError(f"localization {path.name} is no JSON: {error}", f"it looks like {SHAPE}") from None
    if not (found.components or found.tensors or found.scores):
        raise UsageError(f"localization {path.name} names nothing", f"it looks like {SHAPE}")
    return found


def _refuse_unknown(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    there = set(known)
    for name in names:
        if name not in there:
            raise UnknownName(f"{kind} in the localization file", name, there)
