"""Progress on standard error: a bar on a terminal, one quiet line per run elsewhere."""

import sys
import time
from types import TracebackType

from tqdm import tqdm


class Progress:
    """How many runs are done, and how far the current one is."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._label, self._began = total, 0, "", 0.0
        # Not `disable=None`: tqdm would then judge by its own stream each time it is asked.
        self._bar = tqdm(total=total, unit="run", disable=not sys.stderr.isatty())

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def start(self, label: str) -> None:
        """A run begins."""
        self._label, self._began = label, time.monotonic()
        self._bar.set_description_str(label)

    def report(self, stage: str, done: int, of: int) -> None:
        """The current run is at `done` of `of` in this stage."""
        self._bar.set_postfix_str(f"{stage} {done}/{of}", refresh=done % 10 == 0)

    def finish(self, outcome: str) -> None:
        """The current run ended so."""
        self._done += 1
        self._bar.update()
        seconds = time.monotonic() - self._began
        line = f"[{self._done}/{self._total}] {self._label}: {outcome} ({seconds:.1f} s)"
        self._bar.write(line, file=sys.stderr) if not self._bar.disable else print(line, file=sys.stderr, flush=True)
