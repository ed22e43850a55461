"""What does a latent adversary cost, beside the loop one would write? `python tests/performance/inner_loop.py`

The targeted adversary's sixteen inner steps at half of the depth, as we take them (from the attacked block on,
gradients for δ alone), from the embeddings (whole forward passes, gradients for δ alone), and written by hand: whole
forward passes of a model in training, `loss.backward()`, a step, back into the ball. By the number of blocks that are
run, the second costs at most 1.5 times as much as ours: it does not go backward below δ either.
"""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from tabulate import tabulate
from training import Scene, labels_of, ratio, scenes, seconds_of

from unlearnbench.editing import latent
from unlearnbench.editing.adversary import Defence
from unlearnbench.editing.objective import Batch, truths
from unlearnbench.methods.adversaries.targeted import Targeted
from unlearnbench.model.reading import encode
from unlearnbench.running.threads import using_threads

INNER = 16
RADIUS, RATE = 0.5, 0.05


def compare() -> list[dict[str, Any]]:
    """On one thread."""
    with using_threads(1):
        return [_line(one) for one in scenes()]


def _line(here: Scene) -> dict[str, Any]:
    blocks = here.model.blocks
    adversary = Targeted(sites=str(blocks // 2 - 1), inner_steps=INNER)
    batch = Batch(0, here.seen.forget, here.seen.maintain_train[:64], ())
    defence = Defence(batch, {}, seed=0)

    def ours() -> None:
        adversary.strike(here.model, defence)

    def from_embeddings() -> None:
        with mock.patch.object(latent, "kept_below", return_value=nullcontext()):
            adversary.strike(here.model, defence)

    ways: dict[str, Callable[[], object]] = {
        "ours": ours, "embeddings": from_embeddings, "hand": lambda: by_hand(here, batch)
    }  # fmt: skip
    seconds = seconds_of(ways)
    return {
        "model": here.name,
        "ours, s": statistics.median(seconds["ours"]),
        "from the embeddings / ours": ratio(seconds, "embeddings"),
        "by hand / ours": ratio(seconds, "hand"),
    }


def by_hand(here: Scene, batch: Batch) -> None:
    """Projected gradient descent, written plainly, on the two losses of the targeted adversary."""
    block = here.model.network.get_submodule(f"{here.model.family.blocks}.{here.model.blocks // 2 - 1}")
    sides = []
    for facts, sign in ((batch.forget, 1.0), (batch.maintain, -1.0)):
        texts = [prompt + answer for prompt, answer in (encode(here.model, *pair) for pair in truths(facts))]
        ids, labels = labels_of(here.model, texts, last_only=True)
        delta = torch.zeros(*ids.shape, here.model.width, requires_grad=True)
        sides.append((ids, labels, delta, sign))
    deltas = [delta for _, _, delta, _ in sides]
    with here.model.trainable(here.model.parameters):
        for _ in range(INNER):
            for ids, labels, delta, sign in sides:
                with _added(block, delta):
                    (sign * here.model.network(input_ids=ids, labels=labels, use_cache=False).loss).backward()
            with torch.no_grad():
                for delta in deltas:
                    assert delta.grad is not None
                    delta -= RATE * delta.grad / delta.grad.norm(dim=-1, keepdim=True).clamp_min(1e-12)
                    delta *= (RADIUS / delta.norm(dim=-1, keepdim=True).clamp_min(1e-12)).clamp_max(1.0)
                    delta.grad = None
            here.model.network.zero_grad()


@contextmanager
def _added(block: torch.nn.Module, delta: torch.Tensor) -> Iterator[None]:
    def add(_module: Any, _inputs: Any, output: Any) -> Any:
        return (output[0] + delta, *output[1:]) if isinstance(output, tuple) else output + delta

    handle = block.register_forward_hook(add)
    yield
    handle.remove()


if __name__ == "__main__":
    print(tabulate(compare(), headers="keys", floatfmt=".3g"))
