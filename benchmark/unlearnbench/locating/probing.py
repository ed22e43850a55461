"""Where a fact can be read off the subject: linear probes for the answer after every block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact
from unlearnbench.model.reading import encode, outputs_at
from unlearnbench.model.subject import subject_tokens

if TYPE_CHECKING:
    import numpy as np

    from unlearnbench.model.model import Model

FOLDS = 5


def probe_accuracies(model: Model, facts: Sequence[Fact], seed: int) -> list[float]:
    """Cross-validated accuracy of a probe for the answer at the subject's last token: after embeddings and each block.

    Logistic regressions on residual streams of one scale, one for each relation, trained to convergence; the mean over
    relations. Answers that fewer facts have than there are folds are left out.
    Raises `UsageError` where no relation is left with two answers.
    """
    paths = model.stream_paths
    positions = [(encode(model, f.prompt, f.answer)[0], subject_tokens(model, f).stop - 1) for f in facts]
    outputs = outputs_at(model, paths, positions)
    groups = _groups(facts)
    if not groups:
        raise UsageError(
            f"a probe needs a relation with two answers that {FOLDS} facts have each: these {len(facts)} have none"
        )
    found = []
    for path in paths:
        stream = outputs[path].float().cpu().numpy()
        found.append(fmean(_accuracy(stream[rows], [facts[row].answer for row in rows], seed) for rows in groups))
    return found


def _groups(facts: Sequence[Fact]) -> list[list[int]]:
    """Rows of the facts of each relation whose answers are common enough."""
    common = Counter((fact.relation, fact.answer) for fact in facts)
    rows: dict[str, list[int]] = {}
    for row, fact in enumerate(facts):
        if common[fact.relation, fact.answer] >= FOLDS:
            rows.setdefault(fact.relation, []).append(row)
    return [group for group in rows.values() if len({facts[row].answer for row in group}) > 1]


def _accuracy(stream: np.ndarray, answers: Sequence[str], seed: int) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    # One scale for all directions: each scaled by itself, those of nothing but noise would be as loud as the others.
    stream = (stream - stream.mean(0)) / max(stream.std(), 1e-12)
    probe = LogisticRegression(max_iter=10_000)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    return float(cross_val_score(probe, stream, answers, cv=folds).mean())
