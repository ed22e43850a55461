"""Causal tracing: what comes back of an answer when one component is told what it was without the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.sites import Modules
from unlearnbench.model.hooks import constantly, intervened
from unlearnbench.model.model import EMBEDDINGS
from unlearnbench.model.reading import encode, last_logits, padded

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def tracing_effects(
    model: Model, pairs: Pairs, *, noise: float, draws: int, window: int, seed: int
) -> dict[str, torch.Tensor]:
    """Indirect effects [facts] on p of the answer's first token: restored − noised, mean over draws (Meng et al. 2022).

    The noise on the subject's embeddings is Gaussian with `noise` of their standard deviations, the same for the noised
    run and for every restoration. A component is restored at all positions, together with its neighbours in the window.
    """
    with torch.no_grad():
        answers = torch.tensor([encode(model, f.prompt, f.answer)[1][0] for f in pairs.facts], device=model.device)
        rows = torch.arange(len(pairs.facts), device=model.device)

        def p() -> torch.Tensor:
            return last_logits(model, pairs.clean).softmax(-1)[rows, answers]

        clean = Modules.components(model).outputs(model, pairs.clean)
        embeddings = model.network.get_input_embeddings()(padded(model, pairs.clean))
        at_subject = torch.zeros(embeddings.shape[:2], dtype=torch.bool, device=embeddings.device)
        for row, subject in enumerate(pairs.subjects):
            at_subject[row, subject.start : subject.stop] = True
        spread = noise * embeddings[at_subject].float().std()
        # Drawn on the CPU, so that a seed means the same noise on every device.
        generator = torch.Generator().manual_seed(seed)
        found = {name: torch.zeros(len(pairs.facts), device=embeddings.device) for name in model.components}
        for _ in range(draws):
            drawn = torch.randn(embeddings.shape, generator=generator).to(embeddings) * spread
            shaken = {model.places[EMBEDDINGS].path: lambda e, n=drawn * at_subject[..., None]: e + n}
            with intervened(model, shaken):  # type: ignore[arg-type]
                low = p()
                for name in found:
                    together = {
                        model.components[near].path: constantly(clean[near]) for near in neighbours(model, name, window)
                    }
                    with intervened(model, together):
                        found[name] += (p() - low) / draws
        return found


def neighbours(model: Model, name: str, window: int) -> list[str]:
    """The components of the kind around this one, so many in all; fewer at the ends."""
    kind, _, block = name.partition(".")
    first = int(block) - (window - 1) // 2
    return [f"{kind}.{near}" for near in range(first, first + window) if 0 <= near < model.blocks]
