"""An attack: a task that may train or perturb the model, which is put back, to find what is still there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking.task import Task


@dataclass(frozen=True, kw_only=True)
class Attack(Task):
    """It trains on T (`split.relearn_train`) only, and is scored on V (`split.relearn_test`) only.

    The same attack on `place.never_known` shows what it teaches; `place.base` are the weights of before the edit.
    """

    trains: ClassVar[bool] = True
