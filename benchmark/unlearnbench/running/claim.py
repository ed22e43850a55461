"""Two commands at once: a run is claimed by the command that does it, and free again when that ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCKS = ".locks"


@contextmanager
def claimed(output: Path, name: str, *, wait: bool) -> Iterator[bool]:
    """Within: whether the run of this name is ours. With `wait` it is, as soon as nobody else has it.

    The lock is the operating system's: a killed command leaves none behind, only an empty file.
    """
    path = output / LOCKS / name
    file = _locked(path, wait=wait)
    if file is None:
        yield False
        return
    with file:
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # unless others hold locks in it


def _locked(path: Path, *, wait: bool) -> IO[str] | None:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("w")
        except FileNotFoundError:  # the folder was removed by whoever was last in it
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.close()
            return None
        except OSError:  # a file system without locks: two commands may do the same work, and nothing is lost
            return file
        # Whoever had it removed the file; a lock on a removed file excludes nobody.
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        file.close()
