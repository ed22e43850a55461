"""UnlearnBench: which method really removes or edits a fact in a language model, and which only hides it?

The public names. They are imported when first used, so that `import unlearnbench` costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unlearnbench.asking.task import Metric, Row, Task
    from unlearnbench.editing.localization import Localization
    from unlearnbench.editing.method import Method, Workplace
    from unlearnbench.facts import Fact, FactSet, Split, TrainingSplit
    from unlearnbench.model.model import Model
    from unlearnbench.records.record import Record
    from unlearnbench.records.spec import RunSpec
    from unlearnbench.registry import register

_HOMES = {
    "Fact": "facts",
    "FactSet": "facts",
    "Localization": "editing.localization",
    "Method": "editing.method",
    "Metric": "asking.task",
    "Model": "model.model",
    "Record": "records.record",
    "Row": "asking.task",
    "RunSpec": "records.spec",
    "Split": "facts",
    "Task": "asking.task",
    "TrainingSplit": "facts",
    "Workplace": "editing.method",
    "register": "registry",
}

__all__ = [
    "Fact",
    "FactSet",
    "Localization",
    "Method",
    "Metric",
    "Model",
    "Record",
    "Row",
    "RunSpec",
    "Split",
    "Task",
    "TrainingSplit",
    "Workplace",
    "register",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"unlearnbench.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'unlearnbench' has no attribute {name!r}")
