"""What latent adversaries add to a model's activations: a vector for each token, no longer than it may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.facts import Fact
from unlearnbench.lazy import torch
from unlearnbench.model.hooks import intervened, recorded
from unlearnbench.model.model import EMBEDDINGS
from unlearnbench.model.reading import encode, last_logits
from unlearnbench.model.residuals import block_at
from unlearnbench.model.subject import subject_tokens

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

Tokens = Literal["prompt", "subject", "last"]


class Perturbation:
    """δ [facts, positions, width] at each site, in float32 whatever the model's precision; at first zero.

    It goes with the tokens of the facts' prompts, so that it can be found with one continuation and used with another.
    At a site, the ball of a token has the radius ε × the median of ‖h‖ over the tokens that may be perturbed.
    """

    def __init__(
        self, model: Model, facts: Sequence[Fact], sites: Mapping[str, int], tokens: Tokens, epsilon: float
    ) -> None:
        self._model = model
        marked = [_marked(model, fact, tokens) for fact in facts]
        contexts = [context for context, _ in marked]
        self.mask = torch.nn.utils.rnn.pad_sequence([mask for _, mask in marked], batch_first=True).to(model.device)
        """Which tokens [facts, positions] may be perturbed."""
        with torch.no_grad(), recorded(model, {path: path for path in sites}) as seen:
            last_logits(model, contexts)
        self.radius: dict[str, float] = {}
        """Of the ball of each token, by the path of the site."""
        self.deltas: dict[str, torch.Tensor] = {}
        for path, stream in seen.items():
            norms = stream.float().norm(dim=-1)[self.mask.to(stream.device)]
            self.radius[path] = epsilon * norms.median().item()
            self.deltas[path] = torch.zeros(stream.shape, device=stream.device).requires_grad_()

    @contextmanager
    def added(self) -> Iterator[None]:
        """Within: δ is added to what the sites put out, of every forward pass over these facts."""
        with intervened(self._model, {path: self._adding(path) for path in self.deltas}):
            yield

    def project(self) -> None:
        """Bring every token's δ back into its ball, and to zero where nothing may be perturbed."""
        with torch.no_grad():
            for path, delta in self.deltas.items():
                length = delta.norm(dim=-1, keepdim=True)
                delta.mul_((self.radius[path] / length.clamp_min(1e-30)).clamp_max(1.0))
                delta.mul_(self.mask.to(delta.device)[..., None])

    def _adding(self, path: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def add(output: torch.Tensor) -> torch.Tensor:
            delta = self.deltas[path]
            facts, positions, _ = delta.shape
            copies, left = divmod(len(output), facts)
            if left:
                raise UsageError(
                    f"a perturbation of {facts} facts cannot be added to {len(output)} sequences",
                    "a loss about the facts of a batch runs each of them, in order, once or several times",
                )
            mine = delta[:, : output.shape[1]]
            mine = torch.nn.functional.pad(mine, (0, 0, 0, max(0, output.shape[1] - positions)))
            return output + mine.repeat(copies, 1, 1).to(output.dtype)

        return add


def sites_of(model: Model, text: str) -> dict[str, int]:
    """Where `embeddings+3+25%` is: the path of each site, and the first block that reads what it puts out.

    Numbers and percentages are blocks (`residuals.block_at`) whose output is meant. Raises `UnknownName` for anything
    else, `UsageError` for a block that the model lacks.
    """
    found = dict[str, int]()
    for word in text.split("+"):
        if word == EMBEDDINGS:
            found[model.places[EMBEDDINGS].path] = 0
        elif not word[:1].isdigit():
            raise UnknownName("site", word, [EMBEDDINGS, "25%", *map(str, range(model.blocks))])
        else:
            block = block_at(model, word)
            found[f"{model.family.blocks}.{block}"] = block + 1
    return found


def _marked(model: Model, fact: Fact, tokens: Tokens) -> tuple[list[int], torch.Tensor]:
    """The tokens of a fact's prompt, and which may be perturbed: not the first, whose norm may dwarf all others."""
    context = min((encode(model, fact.prompt, choice)[0] for choice in fact.choices), key=len)
    where = {
        "prompt": lambda: range(min(1, len(context) - 1), len(context)),
        "subject": lambda: subject_tokens(model, fact),
        "last": lambda: range(len(context) - 1, len(context)),
    }[tokens]()
    mask = torch.zeros(len(context), dtype=torch.bool)
    mask[list(where)] = True
    return context, mask
