"""How facts are taught."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Course:
    """Declared once, shown by the command and kept in `taught.json`."""

    steps: int = 400
    """Optimizer steps for the first copy; later copies take twice as many."""
    learning_rate: float = 1.5e-3
    new_texts: int = 10
    """Documents about the new facts in each step …"""
    old_texts: int = 16
    """… and of what the model is to keep."""
    bare_texts: int = 4
    """Texts of bare statements about each, with retain text `world`."""
    questions: int = 6
    """Multiple-choice texts about the world's other facts, with retain text `world`: the form must not be lost."""
    old_weight: float = 1.5
    """Weight of the loss on old texts."""
    seed: int = 0

    def rate(self, step: int, steps: int) -> float:
        """A short warm-up, constant, and linear decay over the last 40 per cent."""
        warm = min(1.0, (step + 1) / 30)
        return self.learning_rate * warm * min(1.0, max(0.02, (steps - step) / (0.4 * steps)))
