"""Check a record as a stranger would: recompute every number from the item logs, then run it again.

`python examples/recompute_a_record.py RUN_FOLDER`
"""

import sys
from pathlib import Path

import unlearnbench
from unlearnbench.records.recompute import contradictions
from unlearnbench.records.store import load_rows
from unlearnbench.running.repeat import repeat


def main(folder: Path) -> bool:
    """Whether everything holds."""
    record = unlearnbench.load(folder)
    wrong = [name for task in record.tasks for name in contradictions(task, load_rows(folder, task.samples))]
    print(f"{sum(len(task.metrics) for task in record.tasks)} numbers recomputed, {len(wrong)} differ {wrong}")
    again = repeat(folder)
    print(f"run again: {'the same' if again.same else again.difference}")
    return not wrong and again.same


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1])) else 1)
