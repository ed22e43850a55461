"""On what a run was made: versions, threads, device, source tree. No host and no user is kept."""

import hashlib
import os
import platform
import re
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "datasets", "lm_eval", "numpy", "pydantic")
SOURCES = ("benchmark", "tasks", "methods", "leaderboard")
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "ATEN_CPU_CAPABILITY")


def benchmark_version() -> str:
    """The installed version of the project, or what its source tree says."""
    try:
        return version("unlearnbench")
    except PackageNotFoundError:
        return "0+uninstalled"


def environment() -> dict[str, Any]:
    """Interpreter, packages, torch's settings and the hardware."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "torch": {
            "threads": torch.get_num_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "cuda": torch.version.cuda,
            "matmul_precision": torch.get_float32_matmul_precision(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
        },
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "cores": os.cpu_count(),
        "accelerators": gpus,
    }


def source_state() -> dict[str, Any] | None:
    """Commit, dirtiness and origin of the source tree this package runs from; None where it has none."""
    here = Path(__file__).resolve().parents[1]
    root = _git(here, "rev-parse", "--show-toplevel")
    if root is None or Path(root).joinpath("benchmark", "unlearnbench").resolve() != here:
        return None  # an installed package inside somebody else's repository
    commit = _git(here, "rev-parse", "HEAD")
    changes = _git(Path(root), "status", "--porcelain", "--", *SOURCES) or ""
    difference = _git(here, "diff", "HEAD") or ""
    origin = _git(here, "remote", "get-url", "origin")
    return {
        "commit": commit,
        "dirty": bool(changes),
        "diff_sha256": f"sha256:{hashlib.sha256(difference.encode()).hexdigest()}" if changes else None,
        "origin": re.sub(r"//[^@/]+@", "//", origin) if origin and "//" in origin else None,
    }


def peak_memory() -> int:
    """The largest resident set of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, errors="replace", check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
