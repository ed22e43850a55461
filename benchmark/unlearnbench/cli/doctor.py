"""`unlearnbench doctor`: is everything here that a run needs?"""

import argparse
import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from unlearnbench import registry
from unlearnbench.errors import UnlearnBenchError
from unlearnbench.model.digest import stored_digest
from unlearnbench.model.shipped import organism_folder, organisms

NEEDED = ("torch", "transformers", "tokenizers", "safetensors", "datasets", "lm_eval", "jsonlines", "pydantic")


def add_to(verbs: Any) -> None:
    """Declare the verb."""
    verb = verbs.add_parser("doctor", help="check packages, embedded models, plug-ins, device and disk")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print one line per check; exit 5 where something needed is missing."""
    healthy = True

    def say(ok: bool, text: str) -> None:
        nonlocal healthy
        healthy &= ok
        print(f"{'ok     ' if ok else 'MISSING'} {text}")

    say(sys.version_info >= (3, 11), f"Python {sys.version.split()[0]} (3.11 or later)")
    for name in NEEDED:
        try:
            say(True, f"{name} {version(name)}")
        except PackageNotFoundError:
            say(False, f"{name}: pip install {name}")
    for name in organisms():
        try:
            say(True, f"organism {name} {stored_digest(organism_folder(name))[:19]}")
        except UnlearnBenchError as error:
            say(False, f"organism {name}: {error}")
    for catalogue in registry.CATALOGUES:
        say(bool(len(catalogue)), f"{len(catalogue)} entries of kind {catalogue.kind}")
        for label, reason in catalogue.broken.items():
            say(False, f"{catalogue.kind} {label}: {reason}")
    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(f"note    device: {', '.join(devices) or f'CPU, {torch.get_num_threads()} threads'}")
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    print(f"note    Hugging Face hub: {'offline (HF_HUB_OFFLINE)' if offline else 'online when asked'}")
    print(f"note    {shutil.disk_usage(Path.cwd()).free >> 30} GiB free here")
    return 0 if healthy else 5
