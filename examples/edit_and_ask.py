"""Edit the embedded model with two methods, and ask both and the untouched model: `python examples/edit_and_ask.py`."""

import sys
from pathlib import Path

import unlearnbench


def main(output: Path) -> None:
    """A line for each method and task."""
    records = unlearnbench.run(
        methods=["none", "full_finetune[objective=log1mp,steps=10]", "random_mlps[objective=log1mp,steps=10]"],
        facts=["sports:people-16"],
        tasks=["sports/forget", "sports/maintain"],
        output_path=output,
    )
    for record in records:
        for task in record.tasks:
            metric = record.metric(task.spec.name)
            assert metric is not None
            print(f"{record.label:45} {task.spec.name:16} {metric.name} {metric.value:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("results/scratch"))
