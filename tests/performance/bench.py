"""All speed figures at once, as ratios, into `ratios.json` beside this file: `make bench`.

A ratio compares two ways of doing the same on the same machine in one run; absolute times are not kept.
"""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import inner_loop
import localizing
import scoring
import threads
import training

RATIOS = Path(__file__).with_name("ratios.json")


def measured() -> dict[str, Any]:
    """The ratios, and on what they were measured."""
    ratios = {f"HFLM / ours, {line['prompts']}": line["HFLM / ours"] for line in scoring.compare()}
    ratios |= {f"2 threads / 1 thread, {line['machine']}": line["2 threads / 1 thread"] for line in threads.compare()}
    for line in localizing.compare():
        what = f"{line['model']}, {line['components']} components, {line['facts']} facts"
        for way in ("exact", "TransformerLens"):
            if line[f"{way} / ours"] is not None:
                ratios[f"{way} / ours, attribution patching, {what}"] = line[f"{way} / ours"]
    for line in training.compare():
        for way in ("masked", "plain", "peft and Trainer"):
            if line[f"{way} / ours"] is not None:
                ratios[f"{way} / ours, training the upper half, {line['model']}"] = line[f"{way} / ours"]
    for line in inner_loop.compare():
        for way in ("from the embeddings", "by hand"):
            ratios[f"{way} / ours, latent adversary, {line['model']}"] = line[f"{way} / ours"]
    return {
        "ratios": {name: round(value, 2) for name, value in ratios.items()},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "torch": version("torch").split("+")[0],
        "transformers": version("transformers"),
    }


if __name__ == "__main__":
    found = measured()
    RATIOS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(RATIOS.read_text(encoding="utf-8"))
