"""UnlearnBench: which method really removes or edits a fact in a language model, and which only hides it?

The public names. They are imported when first used, so that `import unlearnbench` costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unlearnbench.asking import Question, QuestionTask
    from unlearnbench.facts import Fact
    from unlearnbench.factset import FactSet
    from unlearnbench.localization import Localization
    from unlearnbench.method import Method, Workplace
    from unlearnbench.model import Model
    from unlearnbench.record import Record
    from unlearnbench.registry import register
    from unlearnbench.runspec import RunSpec
    from unlearnbench.split import Split, TrainingSplit
    from unlearnbench.task import Examination, Metric, Row, Task

_HOMES = {
    "Examination": "task",
    "Fact": "facts",
    "FactSet": "factset",
    "Localization": "localization",
    "Method": "method",
    "Metric": "task",
    "Model": "model",
    "Question": "asking",
    "QuestionTask": "asking",
    "Record": "record",
    "Row": "task",
    "RunSpec": "runspec",
    "Split": "split",
    "Task": "task",
    "TrainingSplit": "split",
    "Workplace": "method",
    "register": "registry",
}

__all__ = [
    "Examination",
    "Fact",
    "FactSet",
    "Localization",
    "Method",
    "Metric",
    "Model",
    "Question",
    "QuestionTask",
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
