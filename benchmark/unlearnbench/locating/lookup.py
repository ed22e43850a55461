"""Where a fact is looked up: the MLPs whose output at the subject reaches the answer through the heads that fetch it.

After Guo et al. (2024, "Mechanistic Unlearning", arXiv 2410.12949), section 3, without their hand: (a) the *extraction
heads* are those whose output at the answer position carries the answer; (b) an MLP is part of the *look-up* as far as
its output at the subject's last token changes the answer through these heads, every other path being frozen. Both are
first-order estimates along integrated gradients; paths are restricted by cutting gradients, so that one backward pass
tells of all MLPs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.patching import middles, on_the_way
from unlearnbench.model.heads import head_mixers, heads_tapped
from unlearnbench.model.hooks import intervened, tap

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


@dataclass(frozen=True)
class LookUp:
    """What was found."""

    heads: torch.Tensor
    """Effects of all heads at the answer position, mean over facts [blocks, heads]."""
    extracting: torch.Tensor
    """Which of them are taken for extraction heads [blocks, heads], bool."""
    mlps: dict[str, torch.Tensor]
    """Effects of every MLP's output at the subject's last token, through these heads [facts]."""
    told_apart: bool
    """Whether the answers' lead falls on the corrupted prompts at all, by more than two standard errors over facts."""
    decided: float
    """Share of the difference between clean and corrupted prompts that is lost, exactly, when the MLPs of positive
    effect say at the subject's last token what they say of somebody else: near 1 where the answer comes from there."""


def look_up(model: Model, pairs: Pairs, points: int, share: float) -> LookUp:
    """Find the extraction heads, which have this share of all positive effects, and the MLPs that they read."""
    mixers, rows = head_mixers(model), torch.arange(len(pairs.facts), device=model.device)
    answers = torch.tensor([len(ids) - 1 for ids in pairs.clean], device=model.device)
    subjects = torch.tensor([subject.stop - 1 for subject in pairs.subjects], device=model.device)
    with torch.no_grad(), heads_tapped(model, mixers) as seen, tap(model) as outputs:
        lost = -pairs.difference(model, pairs.corrupted)
        heads_then, outputs_then = dict(seen), dict(outputs)
        lead = pairs.difference(model, pairs.clean)
        lost += lead
        moved = {block: (z - heads_then[block])[rows, answers] for block, z in seen.items()}
        told = {n: (o - outputs_then[n])[rows, subjects] for n, o in outputs.items() if n.startswith("mlp.")}
    gradients = [_head_gradients(model, pairs, mixers, point, rows, answers) for point in middles(points)]
    mean = {block: torch.stack([one[block] for one in gradients]).mean(0) for block in moved}
    heads = torch.stack([(moved[block] * mean[block]).float().sum(-1).mean(0) for block in sorted(moved)])
    extracting = best(heads, share)
    effects = {name: torch.zeros(len(pairs.facts), device=model.device) for name in told}
    for point, gradient in zip(middles(points), gradients, strict=True):
        wanted = {block: g * extracting[block][None, :, None] for block, g in gradient.items()}
        for name, slope in _through_heads(model, pairs, mixers, point, wanted, rows, answers).items():
            effects[name] += (told[name] * slope[rows, subjects]).float().sum(-1) / points
    speaking = [name for name, effect in effects.items() if effect.mean() > 0]
    swapped = {
        model.components[name].path: _at(rows, subjects, outputs_then[name][rows, subjects]) for name in speaking
    }
    with torch.no_grad(), intervened(model, swapped):
        fallen = lead - pairs.difference(model, pairs.clean)
    fall, error = lost.mean().item(), (lost.std() / len(lost) ** 0.5).item() if len(lost) > 1 else 0.0
    apart = fall > 2 * error
    return LookUp(heads, extracting, effects, apart, fallen.mean().item() / fall if apart else 0.0)


def _at(rows: torch.Tensor, columns: torch.Tensor, said: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A change of an output at one position of each row into what is said."""

    def change(output: torch.Tensor) -> torch.Tensor:
        return output.index_put((rows, columns), said)

    return change


def best(effects: torch.Tensor, share: float) -> torch.Tensor:
    """The fewest entries that have this share of the sum of all positive ones."""
    order = effects.flatten().argsort(descending=True)
    sums = effects.flatten()[order].clamp(min=0).cumsum(0)
    count = int((sums < share * sums[-1]).sum()) + 1 if sums[-1] > 0 else 0
    chosen = torch.zeros(effects.numel(), dtype=torch.bool, device=effects.device)
    chosen[order[:count]] = True
    return chosen.view_as(effects)


def _head_gradients(
    model: Model, pairs: Pairs, mixers: Sequence[str], share: float, rows: torch.Tensor, answers: torch.Tensor
) -> dict[int, torch.Tensor]:
    """∂m/∂(heads' outputs) at the answer position [facts, heads, width], by block."""
    with on_the_way(model, pairs, share), tap(model), heads_tapped(model, mixers) as seen:
        m = pairs.difference(model, pairs.clean)
        found = torch.autograd.grad(m.sum(), list(seen.values()))
    return {block: gradient[rows, answers] for block, gradient in zip(seen, found, strict=True)}


def _through_heads(
    model: Model,
    pairs: Pairs,
    mixers: Sequence[str],
    share: float,
    wanted: dict[int, torch.Tensor],
    rows: torch.Tensor,
    answers: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """∂(Σ wanted · heads at the answer)/∂(each MLP's output) [facts, positions, width], all other paths cut."""
    with on_the_way(model, pairs, share), _cut(model) as leaves, heads_tapped(model, mixers) as seen:
        pairs.difference(model, pairs.clean)
        said = torch.stack([(seen[block][rows, answers] * slope).sum() for block, slope in wanted.items()]).sum()
        found = torch.autograd.grad(said, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


@contextmanager
def _cut(model: Model) -> Iterator[dict[str, torch.Tensor]]:
    """Within: MLPs' outputs are leaves of the graph and attentions' outputs have none.

    A gradient from a head goes back through what its block reads to the MLPs before it, and through nothing else.
    """
    leaves: dict[str, torch.Tensor] = {}

    def leaf(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def begin(output: torch.Tensor) -> torch.Tensor:
            leaves[name] = output.detach().requires_grad_()
            return leaves[name].clone()

        return begin

    changes = {
        component.path: leaf(name) if name.startswith("mlp.") else torch.Tensor.detach
        for name, component in model.components.items()
    }
    with model.trainable(()), intervened(model, changes):
        yield leaves
