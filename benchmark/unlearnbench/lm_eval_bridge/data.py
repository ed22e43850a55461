"""Where the datasets of lm-eval's tasks come from: a folder, the cache, or the hub if it answers."""

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub

from unlearnbench.errors import MissingPrerequisite

FILES = ("json", "csv", "parquet", "text", "arrow", "xml")  # `dataset_path` of a task whose data are files
PATIENCE = 3.0  # seconds to wait for the hub; the libraries' own retries take twenty


@contextmanager
def datasets_found(folders: Mapping[str, Path]) -> Iterator[None]:
    """Within: lm-eval reads these datasets from these folders, and fails at once where it cannot read one."""
    load = datasets.load_dataset

    def load_here(path: str, name: str | None = None, **arguments: Any) -> Any:
        path = str(folders.get(path, path))
        local = path in FILES or Path(path).exists()
        with ExitStack() as stack:
            _set(stack, datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)  # a call to a server for local files
            if not local and not _hub_answers():
                _set(stack, datasets.config, "HF_HUB_OFFLINE", True)
                _set(stack, huggingface_hub.constants, "HF_HUB_OFFLINE", True)
            try:
                return load(path=path, name=name, **arguments)
            except Exception as error:
                raise _unreachable(path, name, error) from error

    with ExitStack() as stack:
        _set(stack, datasets, "load_dataset", load_here)
        yield


def _unreachable(path: str, name: str | None, error: Exception) -> MissingPrerequisite:
    part = f" ({name})" if name else ""
    if path in FILES or Path(path).exists():
        return MissingPrerequisite(
            f"the data in {path}{part} cannot be read: {error}", "look at the folder or the files"
        )
    return MissingPrerequisite(
        f"the dataset {path}{part} is neither in the cache nor to be had from the hub: {error}",
        f"load it once while online (it is then read from {datasets.config.HF_DATASETS_CACHE}), or name a local folder "
        "as dataset_path in a YAML of your own and say where that is: general/NAME[folder=FOLDER]",
    )


@cache
def _hub_answers() -> bool:
    """Whether the hub can be reached; asked once."""
    if huggingface_hub.constants.HF_HUB_OFFLINE or datasets.config.HF_HUB_OFFLINE:
        return False
    request = urllib.request.Request(huggingface_hub.constants.ENDPOINT, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _set(stack: ExitStack, where: object, name: str, value: object) -> None:
    """Set an attribute until the stack is left."""
    stack.callback(setattr, where, name, getattr(where, name))
    setattr(where, name, value)
