"""What each model family calls its blocks and its sublayers: one row per architecture.

A row also serves every architecture that uses the same names, whatever it is called.
"""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from unlearnbench.errors import UsageError
from unlearnbench.registry import failure


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
    down: str = ""
    """The projection inside an MLP that writes to the stream, for ROME and MEMIT; "" where there is not one."""


FAMILIES = (
    Family("llama", "model.layers", "self_attn", "mlp", "down_proj"),  # Llama, Mistral, Qwen, Gemma, OLMo, Phi-3 …
    Family(
        "multimodal", "model.language_model.layers", "self_attn", "mlp", "down_proj"
    ),  # Gemma-3's text model and others
    Family("gpt2", "transformer.h", "attn", "mlp", "c_proj"),  # GPT-2, GPT-J (its MLP reads the attention's input)
    Family("gpt_neox", "gpt_neox.layers", "attention", "mlp", "dense_4h_to_h"),  # Pythia
)
GROUP = "unlearnbench.families"
"""The entry-point group of families that come with other packages."""


@cache
def families() -> tuple[Family, ...]:
    """Ours, and those of installed packages: an entry point names a `Family`."""
    found: list[Family] = list(FAMILIES)
    for point in entry_points(group=GROUP):
        # Somebody's broken package is theirs: what it brings is not there, and everyone else's still runs.
        failure(lambda point=point: found.append(point.load()))  # type: ignore[misc]
    return tuple(found)


def family_of(module_names: set[str], architecture: str) -> Family:
    """The first family whose modules the model has; raises `UsageError` if there is none."""
    for family in families():
        block = f"{family.blocks}.0"
        if {block, f"{block}.{family.attention}", f"{block}.{family.mlp}"} <= module_names:
            return family
    raise UsageError(
        f"the modules of {architecture} are called like those of no known family, so its components have no names",
        "methods that need none run all the same, such as full_finetune; for the others add a row to"
        " unlearnbench/model/families.py (CONTRIBUTING.md, 'a model family')",
    )
