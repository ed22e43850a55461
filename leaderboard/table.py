"""Rows as text for a terminal or a README."""

from collections.abc import Sequence

from tabulate import tabulate

from unlearnbench.leaderboard.standings import ANY, Score, Standing

LEGEND = (
    "Each score: mean over seeds ± the larger of the errors over seeds and over items"
    " (difference from `none` on the same seeds)."
)
DIRECTIONS = {
    "oracle": "forgotten is what comes near the oracle (or, where there is none, chance), not what falls below it",
    "min": "lower is better",
    "max": "higher is better",
}


def render(rows: Sequence[Standing], style: str = "simple") -> str:
    """One table per setting, in a `tabulate` style; invalid runs are listed below it."""
    settings = dict.fromkeys(row.setting for row in rows)
    parts = [_table([row for row in rows if row.setting == setting], style) for setting in settings]
    return "\n\n".join([*parts, f"{legend(rows)} Rows are not ranked."]) if parts else "There are no records."


def legend(rows: Sequence[Standing]) -> str:
    """How to read the scores: which way is better in which column."""
    ways: dict[str, list[str]] = {}
    for row in rows:
        for task, score in row.scores.items():
            columns = ways.setdefault(score.direction, [])
            if task not in columns:
                columns.append(task)
    said = [f"{', '.join(columns)}: {DIRECTIONS[way]}" for way, columns in sorted(ways.items(), reverse=True)]
    return f"{LEGEND} {'; '.join(said)}."


def columns(rows: Sequence[Standing]) -> list[str]:
    """The tasks that have scores, and what any attack brings back at the end."""
    return sorted(dict.fromkeys(task for row in rows for task in row.scores), key=lambda task: task == ANY)


def _table(rows: Sequence[Standing], style: str) -> str:
    tasks = columns(rows)
    lines = [[row.method, *(text_of(row.scores.get(task), row) for task in tasks), len(row.seeds)] for row in rows]
    text = tabulate(lines, ["method", *tasks, "seeds"], tablefmt=style, disable_numparse=True)
    model, facts, details = rows[0].setting
    title = f"model {model} · facts {facts} · {details}"
    notes = [f"invalid: {row.method}, {reason}" for row in rows for reason in row.invalid]
    warnings = dict.fromkeys(f"warning: {warning}" for row in rows for warning in row.warnings)
    return "\n".join([title, "", text, *warnings, *notes])


def text_of(score: Score | None, row: Standing) -> str:
    """A cell: the value, its error, and the difference from `none`."""
    if score is None:
        return "invalid" if row.invalid and not row.seeds else "–"
    error = "" if score.error is None else f" ± {score.error:.3f}"
    is_base = row.reference and row.method == "none"
    difference = "" if score.difference is None or is_base else f" ({score.difference:+.3f})".replace("-", "−")
    # A number of fewer seeds than the row has says so.
    seeds = "" if score.seeds == len(row.seeds) else f" [{score.seeds} of {len(row.seeds)} seeds]"
    return f"{score.value:.3f}{error}{difference}{seeds}"
