"""How far a result was checked."""

from typing import Literal, get_args

Level = Literal["self-reported", "recomputed", "replayed", "reproduced"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""In order: the files are what they say · every number follows from the item logs · the edited weights were asked
again and say the same · the run was repeated from its specification to the same result hash."""
