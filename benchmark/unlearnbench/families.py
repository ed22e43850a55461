"""What each model family calls its blocks and its sublayers: one row per set of names.

A row serves every architecture that uses the same names, whatever it is called. Where a sublayer writes and
what its matrices are is not listed but found by looking: `unlearnbench.anatomy`.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Literal

from unlearnbench.errors import UsageError


@dataclass(frozen=True)
class Family:
    """Module paths of one architecture."""

    name: str
    blocks: str
    """Path of the list of transformer blocks."""
    attention: str
    """The attention module inside a block."""
    mlp: str
    """The MLP module inside a block."""


FAMILIES = (
    Family("llama", "model.layers", "self_attn", "mlp"),  # Llama, Mistral, Qwen, Gemma, OLMo, Phi-3 …
    Family("multimodal", "model.language_model.layers", "self_attn", "mlp"),  # Gemma-3 that also sees
    Family("gpt2", "transformer.h", "attn", "mlp"),  # GPT-2, GPT-J (its MLP reads the attention's input)
    Family("gpt_neox", "gpt_neox.layers", "attention", "mlp"),  # Pythia
)

FUSED: Mapping[str, Literal["stacked", "interleaved"]] = {
    "GPT2Attention": "stacked",
    "GPTNeoXAttention": "interleaved",
    "Phi3Attention": "stacked",
}
"""Attention classes that keep queries, keys and values in one matrix, and the order of its outputs.

"stacked" is all query heads, then all key heads, then all value heads; "interleaved" is query, key and value of
the first head, then those of the next. By class, because one name (`c_attn`, `qkv_proj`, `query_key_value`)
stands for different orders in different architectures. `q_proj`, `k_proj` and `v_proj` need no row.
"""


def family_of(module_names: Set[str], architecture: str) -> Family:
    """The first family whose modules the model has; raises `UsageError`, with what was found, if there is none."""
    for family in FAMILIES:
        block = f"{family.blocks}.0"
        if {block, f"{block}.{family.attention}", f"{block}.{family.mlp}"} <= module_names:
            return family
    raise UsageError(
        f"the modules of {architecture} are called like those of no known family; {_found(module_names)}",
        "add a row to unlearnbench/families.py (CONTRIBUTING.md, 'a model family')",
    )


def _found(module_names: Set[str]) -> str:
    """In words: the outermost lists of modules, and what is inside their first element."""
    firsts = sorted(n for n in module_names if n.endswith(".0") and not any(p.isdigit() for p in n.split(".")[:-1]))
    inside = {first: sorted(n for n in module_names if n.rpartition(".")[0] == first) for first in firsts}
    lists = [
        f"{first} has {', '.join(n.rpartition('.')[2] for n in names)}" for first, names in inside.items() if names
    ]
    return "; ".join(lists) or "no list of blocks was found"
