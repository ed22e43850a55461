"""What does localizing cost, beside TransformerLens and exact patching? `python tests/performance/localizing.py`

Attribution patching (one point, attention and MLP of every block) as we do it, as one would write it with
TransformerLens (`pip install "unlearnbench[perf]"`; left out where it is not installed), and exact patching, one
forward pass for each component: on the same weights and the same prompts, in turn, in one process. Both estimates must
be the same numbers. Only ratios are worth quoting. `graph` is what is kept for the backward pass.
"""

import importlib.util
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from scoring import timed
from tabulate import tabulate

from unlearnbench.locating.contrast import Pairs, logit_difference, pairs_of
from unlearnbench.locating.patching import attribution_effects, exact_effects
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.reading import padded
from unlearnbench.model.source import locate
from unlearnbench.running.threads import using_threads
from unlearnbench.running.words import parse_facts

ROUNDS = 5
DEPTHS = (6, 12, 24, 48)
Effects = dict[str, torch.Tensor]


@dataclass
class Lens:
    """TransformerLens on a copy of the model."""

    bridge: Any

    @classmethod
    def on(cls, model: Model) -> "Lens":
        """Wraps these weights; the network is changed by that."""
        from transformer_lens.model_bridge import TransformerBridge

        name = {"qwen2": "Qwen/Qwen2-0.5B", "llama": "meta-llama/Llama-3.2-1B"}[model.network.config.model_type]
        return cls(TransformerBridge.boot_transformers(name, hf_model=model.network, tokenizer=model.tokenizer))

    def effects(self, model: Model, pairs: Pairs) -> Effects:
        """Attribution patching as its users write it: two cached runs, one of them with gradients."""
        names = {
            f"blocks.{block}.{part}.hook_out": f"{kind}.{block}"
            for block in range(model.blocks)
            for part, kind in (("attn", "attention"), ("mlp", "mlp"))
        }
        clean, corrupted = (padded(model, list(prompts)) for prompts in (pairs.clean, pairs.corrupted))
        last = torch.tensor([len(ids) - 1 for ids in pairs.clean])
        rows = torch.arange(len(last))
        with torch.no_grad():
            _, then = self.bridge.run_with_cache(corrupted, names_filter=list(names))
        now, slopes = dict[str, torch.Tensor](), dict[str, torch.Tensor]()

        def forward(value: torch.Tensor, hook: Any) -> None:
            now[hook.name] = value.detach()

        def backward(gradient: Any, hook: Any) -> None:
            slopes[hook.name] = (gradient[0] if isinstance(gradient, tuple) else gradient).detach()

        with self.bridge.hooks(
            fwd_hooks=[(name, forward) for name in names], bwd_hooks=[(name, backward) for name in names]
        ):
            logits = self.bridge(clean)
            logit_difference(model, pairs.facts, logits[rows, last]).sum().backward()
        self.bridge.zero_grad()
        return {names[name]: ((now[name] - then[name]) * slopes[name]).float().sum((1, 2)) for name in names}


def deeper(depth: int) -> Model:
    """A model of random weights with the organism's tokenizer: narrow, since only the depth is in question."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = load(locate("tiny", {}, None)).tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=384, num_hidden_layers=depth,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(depth)
        return Model(LlamaForCausalLM(config), tokenizer)


def graph(work: Callable[[], object]) -> int:
    """Bytes that are kept for backward passes, each piece of memory once."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        work()
    return sum(kept.values())


def compare() -> list[dict[str, Any]]:
    """On one thread: the embedded model with few and many facts, and random ones of growing depth."""
    with using_threads(1):
        tiny = lambda: load(locate("tiny", {}, None))  # noqa: E731
        lines = [_line("tiny", tiny, facts) for facts in (16, 64)]
        return lines + [_line(f"{depth} blocks", lambda depth=depth: deeper(depth), 16) for depth in DEPTHS]


def _line(name: str, make: Callable[[], Model], facts: int) -> dict[str, Any]:
    model = make()
    pairs = pairs_of(model, parse_facts("sports:people-64").split(0).for_methods(), facts, seed=0)

    def ours() -> Effects:
        return attribution_effects(model, pairs)

    ways: dict[str, Callable[[], Effects]] = {"ours": ours, "exact": lambda: exact_effects(model, pairs, "noising")}
    gap = None
    if importlib.util.find_spec("transformer_lens"):
        lens = Lens.on(make())
        ways["lens"] = lambda: lens.effects(model, pairs)
        theirs, mine = ways["lens"](), ours()
        gap = max((theirs[part] - mine[part]).abs().max().item() / mine[part].abs().max().item() for part in mine)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, work in ways.items():
            seconds[way].append(timed(work))

    def ratio(way: str) -> float | None:
        if way not in seconds:
            return None
        return statistics.median(o / m for o, m in zip(seconds[way], seconds["ours"], strict=True))

    return {
        "model": name,
        "components": len(model.components),
        "facts": len(pairs.facts),
        "ours, s": statistics.median(seconds["ours"]),
        "exact / ours": ratio("exact"),
        "TransformerLens / ours": ratio("lens"),
        "graph, MB": graph(ours) / 1e6,
        "TransformerLens's / ours": graph(ways["lens"]) / graph(ours) if "lens" in ways else None,
        "largest relative gap": gap,
    }


if __name__ == "__main__":
    print(tabulate(compare(), headers="keys", floatfmt=".3g", missingval="–"))
