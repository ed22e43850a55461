"""Linear probes for answers: trained on some facts' activations, reading others'."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["logistic", "mean"]
KINDS: tuple[Kind, ...] = ("logistic", "mean")


@dataclass(frozen=True)
class Reading:
    """What a probe says of one fact."""

    probabilities: Mapping[str, float]
    """Of each answer that a training fact has."""

    @property
    def answer(self) -> str:
        """The likeliest; empty where there is none."""
        return max(self.probabilities, key=self.probabilities.__getitem__, default="")


def read(kind: Kind, seen: np.ndarray, answers: Sequence[str], unseen: np.ndarray, strength: float) -> list[Reading]:
    """Train on activations [facts, width] with answers, and read others.

    `logistic` is scikit-learn's multinomial regression, to convergence; `mean` the nearest class mean. Activations are
    centred and divided by one number: each direction scaled by itself, those of nothing but noise would be as loud as
    the others. Where all answers are the same, that one is read.
    """

    centre, scale = seen.mean(0), max(float(seen.std()), 1e-12)
    seen, unseen = (seen - centre) / scale, (unseen - centre) / scale
    names = sorted(set(answers))
    if len(names) == 1:
        return [Reading({names[0]: 1.0}) for _ in unseen]
    fit: dict[Kind, Callable[[], np.ndarray]] = {
        "logistic": lambda: _logistic(seen, answers, unseen, strength),
        "mean": lambda: _nearest_mean(seen, answers, names, unseen),
    }
    return [Reading(dict(zip(names, map(float, row), strict=True))) for row in fit[kind]()]


def _logistic(seen: np.ndarray, answers: Sequence[str], unseen: np.ndarray, strength: float) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    probe = LogisticRegression(C=strength, max_iter=10_000).fit(seen, list(answers))
    found: np.ndarray = probe.predict_proba(unseen)
    return found


def _nearest_mean(seen: np.ndarray, answers: Sequence[str], names: Sequence[str], unseen: np.ndarray) -> np.ndarray:
    """Softmax of −½‖h − μ‖²: the posterior of Gaussians of unit variance around the means."""
    import numpy as np

    means = np.stack([seen[[answer == name for answer in answers]].mean(0) for name in names])
    logits = -0.5 * ((unseen[:, None] - means[None]) ** 2).sum(-1)
    weights = np.exp(logits - logits.max(1, keepdims=True))
    found: np.ndarray = weights / weights.sum(1, keepdims=True)
    return found
