"""What an answer owes to a component: exactly, by swapping its output, and to first order, by gradients.

m is the logit of the answer minus the mean of the distractors'. With a component's output swapped for what it
is on a prompt about somebody else, m changes; an *effect* is what m loses, so that it is positive where the component
speaks for the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.sites import Modules, Sites
from unlearnbench.model.hooks import differentiable, intervened
from unlearnbench.model.model import EMBEDDINGS
from unlearnbench.model.reading import padded

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

Direction = Literal["noising", "denoising"]


def exact_effects(
    model: Model, pairs: Pairs, direction: Direction, sites: Sites | None = None
) -> dict[str, torch.Tensor]:
    """Effects [facts] of every component, one forward pass for each (Vig et al. 2020; Heimersheim & Nanda 2024).

    `noising`: m(clean) − m(clean with the corrupted output), what is necessary; `denoising`: m(corrupted with the clean
    output) − m(corrupted), what is sufficient. `sites` are what is swapped instead of components.
    """
    sites = sites or Modules.components(model)
    with torch.no_grad():
        run, source = (pairs.clean, pairs.corrupted) if direction == "noising" else (pairs.corrupted, pairs.clean)
        before, found = pairs.difference(model, run), dict[str, torch.Tensor]()
        for name, output in sites.outputs(model, source).items():
            with sites.swapped(model, name, output):
                after = pairs.difference(model, run)
            found[name] = before - after if direction == "noising" else after - before
        return found


def attribution_effects(
    model: Model, pairs: Pairs, points: int = 1, sites: Sites | None = None
) -> dict[str, torch.Tensor]:
    """The same for `noising` to first order [facts], for all components at once: (clean − corrupted) · ∂m/∂output.

    With one point the gradient is taken at the clean prompt (Nanda 2023): two forward passes and one backward pass.
    With more it is the mean over so many points, in the middles of as many equal steps of the input embeddings from
    the clean to the corrupted prompt (integrated gradients; Hanna et al. 2024).
    """
    sites = sites or Modules.components(model)
    corrupted = sites.outputs(model, pairs.corrupted)
    clean = sites.outputs(model, pairs.clean) if points > 1 else {}
    slopes: dict[str, torch.Tensor] = {}
    for share in middles(points):
        with on_the_way(model, pairs, share), differentiable(model), sites.recorded(model) as outputs:
            m = pairs.difference(model, pairs.clean)
            # Unused is what somebody holds still, as RelP does queries and keys.
            found = torch.autograd.grad(m.sum(), [*outputs.values()], allow_unused=True, materialize_grads=True)
        for name, slope in zip(outputs, found, strict=True):
            slopes[name] = slopes.get(name, 0) + slope / points
        # One point is the clean prompt itself, which need not be read again.
        clean = clean or {name: output.detach() for name, output in outputs.items()}
    return {name: ((clean[name] - corrupted[name]) * slope).float().flatten(1).sum(1) for name, slope in slopes.items()}


def moved(model: Model, pairs: Pairs, paths: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Clean minus corrupted output of the modules at these paths [facts, positions, width]."""
    clean, corrupted = (Modules(paths).outputs(model, prompts) for prompts in (pairs.clean, pairs.corrupted))
    return {name: output - corrupted[name] for name, output in clean.items()}


def middles(points: int) -> Sequence[float]:
    """The middles of so many equal steps from 0 to 1; one point is 0 itself."""
    return [(point + 0.5) / points for point in range(points)] if points > 1 else [0.0]


@contextmanager
def on_the_way(model: Model, pairs: Pairs, share: float) -> Iterator[None]:
    """Within: the input embeddings of the clean prompts are this share of the way to the corrupted ones."""
    embed = model.network.get_input_embeddings()
    with torch.no_grad():
        clean, corrupted = (embed(padded(model, list(prompts))) for prompts in (pairs.clean, pairs.corrupted))
        shift = share * (corrupted - clean)
    with intervened(model, {model.places[EMBEDDINGS].path: lambda output: output + shift}):
        yield
