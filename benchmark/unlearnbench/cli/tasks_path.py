"""`unlearnbench tasks-path`: where our tasks lie as lm-eval YAML."""

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from unlearnbench.errors import MissingPrerequisite


def add_to(verbs: Any) -> None:
    """Declare the verb."""
    verb = verbs.add_parser("tasks-path", help="print the folder to give lm_eval as --include_path")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print the folder, and nothing else: it stands inside another command."""
    found = find_spec("unlearnbench.tasks.lm_eval")
    folders = found.submodule_search_locations if found else None
    if not folders:
        raise MissingPrerequisite("the folder tasks/lm_eval is not installed", "install unlearnbench again")
    print(Path(folders[0]))
    return 0
