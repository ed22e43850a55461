"""torch, imported at its first use: planning, listing and reading records do not wait for it.

Before that, idle threads are told to sleep instead of spinning. Spinning threads of two programs on the
same cores stop each other: with one busy neighbour a minute of scoring becomes three seconds.
"""

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class _Lazy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        found = importlib.import_module(self.__name__)
        self.__dict__.update({key: value for key, value in vars(found).items() if not key.startswith("__")})
        return getattr(found, name)


if TYPE_CHECKING:
    import torch as torch
else:
    torch = _Lazy("torch")
