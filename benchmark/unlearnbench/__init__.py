"""UnlearnBench: which method really removes or edits a fact in a language model, and which only hides it?

The public names. They are imported when first used, so that `import unlearnbench` costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unlearnbench.asking.attack import Attack, recovery
    from unlearnbench.asking.place import AskingPlace
    from unlearnbench.asking.row import Metric, Row
    from unlearnbench.asking.sides import Side
    from unlearnbench.asking.task import Task
    from unlearnbench.editing.adversary import Adversary
    from unlearnbench.editing.finetuning import FineTuning
    from unlearnbench.editing.localization import Localization
    from unlearnbench.editing.localizer import Localizer
    from unlearnbench.editing.method import Method
    from unlearnbench.editing.objective import Objective, Term
    from unlearnbench.editing.place import EditingPlace
    from unlearnbench.facts import Fact, Split, TrainingSplit
    from unlearnbench.factset import FactSet
    from unlearnbench.model.model import Model
    from unlearnbench.records.record import Record
    from unlearnbench.records.spec import EditSpec, TaskSpec
    from unlearnbench.registry import register
    from unlearnbench.running.api import load, run

HOMES = {
    "Adversary": "editing.adversary",
    "AskingPlace": "asking.place",
    "Attack": "asking.attack",
    "EditSpec": "records.spec",
    "EditingPlace": "editing.place",
    "Fact": "facts",
    "FactSet": "factset",
    "FineTuning": "editing.finetuning",
    "Localization": "editing.localization",
    "Localizer": "editing.localizer",
    "Method": "editing.method",
    "Metric": "asking.row",
    "Model": "model.model",
    "Objective": "editing.objective",
    "Record": "records.record",
    "Row": "asking.row",
    "Side": "asking.sides",
    "Split": "facts",
    "Task": "asking.task",
    "TaskSpec": "records.spec",
    "Term": "editing.objective",
    "TrainingSplit": "facts",
    "load": "running.api",
    "recovery": "asking.attack",
    "register": "registry",
    "run": "running.api",
}
"""In which module each public name is."""

__all__ = [
    "Adversary",
    "AskingPlace",
    "Attack",
    "EditSpec",
    "EditingPlace",
    "Fact",
    "FactSet",
    "FineTuning",
    "Localization",
    "Localizer",
    "Method",
    "Metric",
    "Model",
    "Objective",
    "Record",
    "Row",
    "Side",
    "Split",
    "Task",
    "TaskSpec",
    "Term",
    "TrainingSplit",
    "load",
    "recovery",
    "register",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(import_module(f"unlearnbench.{HOMES[name]}"), name)
    raise AttributeError(f"module 'unlearnbench' has no attribute {name!r}")
