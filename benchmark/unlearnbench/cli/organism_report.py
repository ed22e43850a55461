"""`unlearnbench organism-report`: what an embedded model can do, and whether the mechanism is there."""

import argparse
from typing import Any

from unlearnbench.cli.grammar import STYLES
from unlearnbench.model.shipped import organism_folder, organism_overlays


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("organism-report", help="measure an embedded model against what is asked of it")
    verb.add_argument("organism", help="its name (`ls models`)")
    verb.add_argument("--format", choices=["table", "markdown"], default="table")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print all figures; they are measured, not stored."""
    organism_folder(chosen.organism)
    from tabulate import tabulate

    from unlearnbench.organisms.report import report
    from unlearnbench.organisms.taught_report import taught_report

    found = (taught_report if organism_overlays(chosen.organism) else report)(chosen.organism)
    style = STYLES[chosen.format]
    lines = [[f.name, f"{f.value:.3f}", f.asked, "yes" if f.met else "NO"] for f in found.figures]
    print(tabulate(lines, ["figure", "measured", "asked", "met"], tablefmt=style, disable_numparse=True))
    print("\nShare of people whose sport is still right with these components silent:\n")
    print(
        tabulate(
            [[part, f"{share:.3f}"] for part, share in found.silenced.items()],
            ["silent", "right"],
            tablefmt=style,
            disable_numparse=True,
        )
    )
    for place in ("subject", "answer") if found.swaps else ():
        print(f"\nShare of answers that follow a swap at the {place}, by what is swapped and wording:\n")
        rows = [[one.wording, *(f"{share:.2f}" for share in getattr(one, place).values())] for one in found.swaps]
        print(
            tabulate(
                rows,
                ["wording", *(_short(name) for name in found.swaps[0].subject)],
                tablefmt=style,
                disable_numparse=True,
            )
        )
    return 0


def _short(name: str) -> str:
    return name.replace("attention", "att").replace("residual", "res")
