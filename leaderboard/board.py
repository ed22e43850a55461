"""All that a board shows, worked out once: for the document and for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from unlearnbench.leaderboard.entries import Entry, rows
from unlearnbench.leaderboard.ranking import Ranking
from unlearnbench.leaderboard.rankings import rankings
from unlearnbench.leaderboard.standings import Setting, Standing, standings


class Board(NamedTuple):
    """Runs, and what follows from them."""

    runs: Mapping[tuple[Setting, str], Sequence[Entry]]
    """Of each row, by its setting and its label; the latest last."""
    standings: Sequence[Standing]
    """Rows, task by task."""
    rankings: Mapping[Setting, Ranking]
    """Their order, in each setting that has one."""

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Self:
        """Of everything that was read."""
        shown = standings([one.record for one in entries], None, {one.key: one.attacks for one in entries})
        return cls(rows(entries), shown, rankings(entries))
