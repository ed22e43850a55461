"""What each model family calls its blocks and its sublayers: one row per architecture.

A row also serves every architecture that uses the same names, whatever it is called.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Protocol

from unlearnbench.errors import UsageError
from unlearnbench.registry import failure


class HasPath(Protocol):
    """What has a place among the modules."""

    @property
    def path(self) -> str: ...


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
    Family("llama", "model.layers", "self_attn", "mlp"),  # Llama, Mistral, Qwen, Gemma, OLMo, Phi-3, Cohere …
    Family("multimodal", "model.language_model.layers", "self_attn", "mlp"),  # Gemma-3's text model and others
    Family("gpt2", "transformer.h", "attn", "mlp"),  # GPT-2, GPT-J (its MLP reads the attention's input)
    Family("gpt_neox", "gpt_neox.layers", "attention", "mlp"),  # Pythia
    Family("falcon", "transformer.h", "self_attention", "mlp"),
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


def refuse_irregular(components: Iterable[HasPath], module_names: set[str]) -> None:
    """Raise `UsageError` where a block lacks a component, or an MLP is a mixture of experts."""
    hint = "methods that need no components run all the same, such as full_finetune"
    for one in components:
        if one.path not in module_names:
            raise UsageError(
                f"there is no {one.path}: not every block has an attention and an MLP, as in models that mix attention"
                " with a state space",
                hint,
            )
        if f"{one.path}.experts" in module_names:
            raise UsageError(
                f"{one.path} is a mixture of experts: which of its weights speak changes from token to token, so that"
                " neither its size nor its effect is that of a component",
                hint,
            )


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
