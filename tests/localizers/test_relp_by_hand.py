"""RelP against a second implementation: a Llama written out in plain torch, with the constants detached by hand."""

import torch

from unlearnbench.facts import Split
from unlearnbench.locating.contrast import logit_difference, pairs_of
from unlearnbench.locating.patching import attribution_effects
from unlearnbench.locating.relevance import linearized
from unlearnbench.model.model import Model
from unlearnbench.model.reading import padded


def _norm(module: torch.nn.Module, stream: torch.Tensor) -> torch.Tensor:
    size = (stream.square().mean(-1, keepdim=True) + module.variance_epsilon).sqrt()
    return stream / size.detach() * module.weight


def _attention(module: torch.nn.Module, pattern: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
    rows, positions, _ = read.shape
    values = module.v_proj(read).view(rows, positions, -1, module.head_dim).transpose(1, 2)
    values = values.repeat_interleave(pattern.shape[1] // values.shape[1], 1)
    return module.o_proj((pattern.detach() @ values).transpose(1, 2).flatten(2))


def _mlp(module: torch.nn.Module, read: torch.Tensor) -> torch.Tensor:
    gate = module.gate_proj(read)
    gate = gate * torch.sigmoid(gate).detach()  # SiLU: x times its sigmoid
    product = gate * module.up_proj(read)
    return module.down_proj(0.5 * product + 0.5 * product.detach())


def test_relevance_patching_is_that_of_a_llama_written_out_by_hand(llama: Model, split: Split) -> None:
    pairs = pairs_of(llama, split.for_methods(), 6, seed=0)
    network, body = llama.network, llama.network.model
    network.set_attn_implementation("eager")
    at = torch.arange(len(pairs.facts)), torch.tensor([len(ids) - 1 for ids in pairs.clean])

    def run(prompts: list[list[int]]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        ids = padded(llama, prompts)
        with torch.no_grad():
            patterns = network(input_ids=ids, output_attentions=True).attentions
        stream, said = body.embed_tokens(ids).detach().requires_grad_(), dict[str, torch.Tensor]()
        for block, (layer, pattern) in enumerate(zip(body.layers, patterns, strict=True)):
            said[f"attention.{block}"] = _attention(layer.self_attn, pattern, _norm(layer.input_layernorm, stream))
            stream = stream + said[f"attention.{block}"]
            said[f"mlp.{block}"] = _mlp(layer.mlp, _norm(layer.post_attention_layernorm, stream))
            stream = stream + said[f"mlp.{block}"]
        return said, network.lm_head(_norm(body.norm, stream))[at]

    corrupted, _ = run(list(pairs.corrupted))
    clean, logits = run(list(pairs.clean))
    slopes = torch.autograd.grad(logit_difference(llama, pairs.facts, logits).sum(), list(clean.values()))
    expected = {
        name: ((clean[name] - corrupted[name]) * slope).sum((1, 2)) for name, slope in zip(clean, slopes, strict=True)
    }

    with linearized(llama):
        found = attribution_effects(llama, pairs)

    torch.testing.assert_close(logits, network(input_ids=padded(llama, list(pairs.clean))).logits[at])
    assert set(found) == set(expected)
    for name, effect in expected.items():
        torch.testing.assert_close(found[name], effect, atol=1e-4, rtol=1e-3)
