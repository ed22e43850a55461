"""Random Latin squares: every symbol once in every row and every column, and no rule behind it."""

import random


def latin_square(size: int, rng: random.Random) -> list[list[int]]:
    """A `size` × `size` square of the symbols 0 … size − 1, filled one symbol at a time by random matchings.

    A cyclic square, however shuffled, is the table of a group, and a model could learn the group
    instead of the cells. After k symbols the free cells form a (size − k)-regular bipartite graph, which has a perfect
    matching (König), so that the filling never gets stuck.
    """
    square = [[-1] * size for _ in range(size)]
    for symbol in range(size):
        free = [[column for column in range(size) if square[row][column] < 0] for row in range(size)]
        for row, column in enumerate(_matching(free, rng)):
            square[row][column] = symbol
    return square


def _matching(free: list[list[int]], rng: random.Random) -> list[int]:
    """A perfect matching of rows to their free columns, by augmenting paths in random order (Kuhn)."""
    row_of: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column in rng.sample(free[row], len(free[row])):
            if column not in seen:
                seen.add(column)
                if column not in row_of or place(row_of[column], seen):
                    row_of[column] = row
                    return True
        return False

    for row in rng.sample(range(len(free)), len(free)):
        place(row, set())
    return [column for _, column in sorted((row, column) for column, row in row_of.items())]
