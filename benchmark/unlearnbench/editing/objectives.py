"""What training asks of the facts to forget; each objective is a loss on (prompt, answer) pairs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnbench.errors import UnknownName
from unlearnbench.facts import Fact
from unlearnbench.model.model import Model

Pair = tuple[str, str]
"""A prompt and its answer."""


def answer_logits(model: Model, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Logits [tokens, vocabulary] where each answer token of each pair is predicted, and those tokens."""
    sequences, rows, columns, targets = [], list[int](), list[int](), list[int]()
    for row, (prompt, answer) in enumerate(pairs):
        context, tokens = model.encode(prompt, answer)
        sequences.append(context + tokens[:-1])
        rows += [row] * len(tokens)
        columns += range(len(context) - 1, len(context) + len(tokens) - 1)
        targets += tokens
    logits = model.logits_at(sequences, rows, columns)
    return logits, torch.tensor(targets, device=logits.device)


def answer_logprobs(model: Model, pairs: Sequence[Pair]) -> Tensor:
    """ln p of every answer token of every pair, [tokens], teacher-forced, in float32."""
    logits, targets = answer_logits(model, pairs)
    return -F.cross_entropy(logits, targets, reduction="none")


def answer_loss(model: Model, pairs: Sequence[Pair]) -> Tensor:
    """Mean cross-entropy of the answer tokens: −mean ln p."""
    return -answer_logprobs(model, pairs).mean()


def text_loss(model: Model, texts: Sequence[list[int]]) -> Tensor:
    """Mean next-token cross-entropy over texts given as token ids; each needs two tokens or more."""
    places = [(row, column) for row, ids in enumerate(texts) for column in range(len(ids) - 1)]
    logits = model.logits_at(list(texts), [r for r, _ in places], [c for _, c in places])
    following = torch.tensor([texts[r][c + 1] for r, c in places], device=logits.device)
    return F.cross_entropy(logits, following)


class Objective(ABC):
    """A loss that is low when the forget facts are answered as the objective wants."""

    @abstractmethod
    def loss(self, model: Model, facts: Sequence[Fact]) -> Tensor:
        """The loss, a scalar, on a batch of facts to forget."""

    def lacking(self, facts: Sequence[Fact]) -> Sequence[Fact]:
        """The facts that lack what the objective needs; none, unless it needs something."""
        return ()


class Unlearn(Objective):
    """−mean ln(1 − p) over the answer tokens; tokens below ln p = −5 are left alone.

    The forget loss of Guo et al. (2024, arXiv 2410.12949) and of latent adversarial training
    (Sheshadri et al., 2024). Its gradient with respect to a logit is p at the most, and ends where the
    answer has become unlikely, so that it stops by itself.
    """

    FLOOR = -5.0

    def loss(self, model: Model, facts: Sequence[Fact]) -> Tensor:
        """The mean over all tokens, those left alone counting as zero."""
        logits, targets = answer_logits(model, [(fact.prompt, fact.answer) for fact in facts])
        return log_one_minus_p(logits, targets, self.FLOOR)


class Edit(Objective):
    """Cross-entropy to the edit target: the model is to answer something else, the same each time."""

    def loss(self, model: Model, facts: Sequence[Fact]) -> Tensor:
        """Mean over the tokens of the edit targets."""
        return answer_loss(model, [(fact.prompt, fact.edit_target or "") for fact in facts])

    def lacking(self, facts: Sequence[Fact]) -> Sequence[Fact]:
        """Those without an edit target."""
        return [fact for fact in facts if fact.edit_target is None]


def log_one_minus_p(logits: Tensor, targets: Tensor, floor: float) -> Tensor:
    """−mean ln(1 − p) of the targets [tokens] under logits [tokens, vocabulary]; ln p < `floor` counts as zero.

    With m the target's logit minus the log-sum-exp of all others, −ln(1 − p) = softplus(m) and
    ln p = −softplus(−m). Computed so, an answer that the model is certain of still has its full
    gradient; through ln p in float32 it would have none, and the surest facts would never be unlearned.
    """
    others = logits.scatter(-1, targets[:, None], -torch.inf).logsumexp(-1)
    margin = logits.gather(-1, targets[:, None])[:, 0] - others
    return torch.where(-F.softplus(-margin) < floor, 0.0, F.softplus(margin)).mean()


_OBJECTIVES: dict[str, type[Objective]] = {"unlearn": Unlearn, "edit": Edit}
OBJECTIVES = tuple(_OBJECTIVES)
"""The objectives by name."""


def objective(name: str) -> Objective:
    """The objective of this name; raises `UnknownName`."""
    if name not in _OBJECTIVES:
        raise UnknownName("objective", name, OBJECTIVES)
    return _OBJECTIVES[name]()
