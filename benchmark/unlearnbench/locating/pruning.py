"""Greedy pruning: walk through the components from the last to the first, and corrupt whatever is not missed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.sites import Modules
from unlearnbench.model.hooks import constantly, intervened
from unlearnbench.model.reading import last_logits

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def pruning_effects(model: Model, pairs: Pairs, threshold: float) -> dict[str, torch.Tensor]:
    """By how much the loss of each component raises KL(whole‖pruned) at the answer [facts], in nats.

    After ACDC (Conmy et al. 2023), with components as nodes instead of edges: what raises it by less than `threshold`
    in the mean stays corrupted while the others are tried.
    """
    with torch.no_grad():
        corrupted = Modules.components(model).outputs(model, pairs.corrupted)
        whole = last_logits(model, pairs.clean).log_softmax(-1)
        pruned: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {}
        before, found = torch.zeros(len(pairs.facts), device=whole.device), dict[str, torch.Tensor]()
        for name in reversed(list(model.components)):
            tried = {**pruned, model.components[name].path: constantly(corrupted[name])}
            with intervened(model, tried):
                now = (whole.exp() * (whole - last_logits(model, pairs.clean).log_softmax(-1))).sum(-1)
            found[name] = now - before
            if found[name].mean() < threshold:
                pruned, before = tried, now
        return {name: found[name] for name in model.components}
