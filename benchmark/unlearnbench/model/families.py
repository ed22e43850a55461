"""What each model family calls its blocks and its sublayers: one row per architecture.

A row also serves every architecture that uses the same names, whatever it is called.
"""

from dataclasses import dataclass

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
    Family("gpt2", "transformer.h", "attn", "mlp"),  # GPT-2, GPT-J (its MLP reads the attention's input)
    Family("gpt_neox", "gpt_neox.layers", "attention", "mlp"),  # Pythia
)


def family_of(module_names: set[str], architecture: str) -> Family:
    """The first family whose modules the model has; raises `UsageError` if there is none."""
    for family in FAMILIES:
        block = f"{family.blocks}.0"
        if {block, f"{block}.{family.attention}", f"{block}.{family.mlp}"} <= module_names:
            return family
    raise UsageError(
        f"the modules of {architecture} are called like those of no known family",
        "add a row to unlearnbench/families.py (CONTRIBUTING.md, 'a model family')",
    )
