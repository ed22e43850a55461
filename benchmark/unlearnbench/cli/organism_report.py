"""`unlearnbench organism-report`: what an embedded model can do, and whether the mechanism is there."""

import argparse
from importlib.util import find_spec
from typing import Any

from unlearnbench.errors import MissingPrerequisite
from unlearnbench.model.shipped import organism_folder


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("organism-report", help="measure an embedded model against what is asked of it")
    verb.add_argument("organism", help="its name (`ls models`)")
    verb.add_argument("--format", choices=["table", "markdown"], default="table")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print all figures; they are measured, not stored."""
    organism_folder(chosen.organism)
    if find_spec("sklearn") is None:
        raise MissingPrerequisite("the probe needs scikit-learn", "pip install 'unlearnbench[test]'")
    from tabulate import tabulate

    from unlearnbench.organisms.report import report

    found = report(chosen.organism)
    style = {"table": "simple", "markdown": "github"}[chosen.format]
    lines = [[f.name, f"{f.value:.3f}", f.asked, "yes" if f.met else "NO"] for f in found.figures]
    print(tabulate(lines, ["figure", "measured", "asked", "met"], tablefmt=style, disable_numparse=True))
    print("\nShare of answers that follow a residual swapped after a block, by wording and position:\n")
    blocks = range(len(found.probe))
    rows = [[s.wording, *_shares(s.subject), *_shares(s.answer)] for s in found.swaps]
    headers = ["wording", *(f"subject {b}" for b in blocks), *(f"answer {b}" for b in blocks)]
    print(tabulate(rows, headers, tablefmt=style, disable_numparse=True))
    print(f"\nThe sport's probe at the subject's last token, after each block: {' '.join(_shares(found.probe))}")
    return 0


def _shares(values: Any) -> list[str]:
    return [f"{value:.2f}" for value in values]
