"""Where facts are, as a picture: blocks upwards, kinds of components side by side, one panel for each localizer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnbench.errors import MissingPrerequisite, UsageError

if TYPE_CHECKING:
    from unlearnbench.running.localizing import Sought

PICTURES = (".png", ".svg", ".pdf")
PER_ROW = 6


def check_picture(path: Path) -> None:
    """Raise `UsageError` for what is no name of a picture, `MissingPrerequisite` without a folder or matplotlib."""
    if path.suffix not in PICTURES:
        raise UsageError(f"{path} is no name of a picture", f"let it end in {', '.join(PICTURES)}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "say what the picture is to be called")
    if not path.parent.is_dir():
        raise MissingPrerequisite(f"there is no folder {path.parent}", "make it first")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingPrerequisite("a heat map needs matplotlib", "pip install 'unlearnbench[plot]'") from None


def draw(found: Sequence[Sought], blocks: int, title: str, path: Path) -> None:
    """Every localizer that scores: the largest score of each is 1; a frame stands around what it chose."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows = math.ceil(len(found) / PER_ROW)
    across = min(len(found), PER_ROW)
    width, height = 1.3 + 1.5 * across, 0.9 + rows * (0.9 + 0.24 * blocks)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    panels = list(figure.subplots(rows, across, squeeze=False).flat)
    for panel in panels[len(found) :]:
        panel.axis("off")
    shades = None
    for panel, one in zip(panels, found, strict=False):
        columns = _columns(one)
        grid = _grid(one, columns, blocks)
        shades = panel.imshow(grid, cmap="RdBu_r", vmin=-1, vmax=1, origin="lower", aspect="auto")
        for name in one.chosen:
            column, block = _position(name)
            if column in columns:
                corner = (columns.index(column) - 0.5, block - 0.5)
                panel.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="black", linewidth=1.5, clip_on=False))
        panel.set_title("\n[".join(one.word.split("[", 1)), fontsize="small")
        panel.set_xticks(range(len(columns)), columns, fontsize="x-small")
        panel.set_yticks(range(0, blocks, max(1, blocks // 12)))
        panel.tick_params(labelsize="x-small", length=0)
    figure.supylabel("block", fontsize="small")
    if shades is not None:
        figure.colorbar(shades, ax=panels, label="score / largest", shrink=0.8)
    figure.savefig(path, dpi=160)


def _position(name: str) -> tuple[str, int]:
    """The column and the block of `mlp.3`; of `attention.3.1`, which is head 1 of block 3; of `mlp.3.down_proj`."""
    kind, _, rest = name.partition(".")
    block, _, which = rest.partition(".")
    return f"{kind}.{which}" if which else kind, int(block) if block else 0


def _columns(one: Sought) -> list[str]:
    return list(dict.fromkeys(_position(name)[0] for name in one.where.scores))


def _grid(one: Sought, columns: Sequence[str], blocks: int) -> list[list[float]]:
    """Scores by block and column; nothing where nothing was scored."""
    largest = max((abs(score) for score in one.where.scores.values()), default=0.0) or 1.0
    grid = [[math.nan] * len(columns) for _ in range(blocks)]
    for name, score in one.where.scores.items():
        column, block = _position(name)
        grid[block][columns.index(column)] = score / largest
    return grid
