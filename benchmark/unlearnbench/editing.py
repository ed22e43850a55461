"""The model while a method edits it, once or several times one after another; then as it was."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from torch import Tensor

from unlearnbench.errors import Diverged, UnlearnBenchError
from unlearnbench.localization import Localization
from unlearnbench.method import Method, Workplace
from unlearnbench.model import Model
from unlearnbench.split import TrainingSplit
from unlearnbench.training import History


class Escaped(UnlearnBenchError):
    """A method wrote outside its own localization."""


class Editing:
    """A context manager: within, edits add up; afterwards every tensor that was declared is what it was."""

    def __init__(self, model: Model, method: Method, label: str, digests: Mapping[str, str]) -> None:
        self._model, self._method, self._label = model, method, label
        self._stack = ExitStack()
        self.digests = dict(digests)
        """Of all tensors, as they are after the latest edit."""
        self.originals: dict[str, Tensor] = {}
        """The tensors that may have changed, as they were before all edits."""
        self.where = Localization.nowhere()
        """What any of the edits was allowed to change."""
        self.history: History = []
        self._stage = 0

    def __enter__(self) -> "Editing":
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def localize(self, facts: TrainingSplit, place: Workplace) -> Localization:
        """Where the method wants to write, on the model as it now is."""
        return self._method.localize(self._model, facts, place)

    def edit(self, facts: TrainingSplit, where: Localization, place: Workplace) -> None:
        """Let the method write there; raises `Escaped` where it wrote elsewhere, and `Diverged` after that check."""
        self.where = self.where.joined(where) if self.where.tensors else where
        new = [name for name in where.tensors if name not in self.originals]
        self.originals |= self._stack.enter_context(self._model.restored(new))
        try:
            self.history += self._staged(self._method.edit(self._model, facts, where, place))
        except Diverged as error:
            self.history += self._staged(error.history)
            self._refuse_escape(where)
            raise
        self._refuse_escape(where)

    def _staged(self, history: History) -> History:
        self._stage += 1
        return [{"stage": self._stage, **row} for row in history]

    def undone(self) -> AbstractContextManager[None]:
        """Within: the model as it was before all edits."""
        return self._model.swapped(self.originals)

    def _refuse_escape(self, where: Localization) -> None:
        before, self.digests = self.digests, self._model.tensor_digests()
        outside = [n for n in self.digests if n not in where.tensors and self.digests[n] != before[n]]
        if outside:
            raise Escaped(
                f"{self._label}: the method changed {outside[0]!r}, which is outside its localization"
                f" ({len(outside)} tensors in all)",
                "localize() must name every tensor that edit() changes",
            )
