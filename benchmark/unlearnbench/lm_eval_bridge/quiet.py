"""lm-eval without its progress bars and log lines, which no argument of `evaluate` turns off."""

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import datasets
from tqdm import tqdm


class _Silent(tqdm):  # type: ignore[type-arg]
    """A progress bar that is never seen."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "disable": True})


@contextmanager
def quiet() -> Iterator[None]:
    """Within: lm-eval draws no progress bars, and logs errors only."""
    log, bars = logging.getLogger("lm_eval"), datasets.are_progress_bars_disabled()
    level = log.level
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("lm_eval.") and vars(module).get("tqdm") is tqdm:
                stack.callback(setattr, module, "tqdm", tqdm)
                setattr(module, "tqdm", _Silent)
        stack.callback(log.setLevel, level)
        log.setLevel(logging.ERROR)
        if not bars:
            stack.callback(datasets.enable_progress_bars)
            datasets.disable_progress_bars()
        yield
