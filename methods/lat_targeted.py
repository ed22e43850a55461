"""Targeted latent adversarial training, of every parameter."""

from dataclasses import dataclass

from unlearnbench.editing.adversary import Adversary
from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("lat_targeted")
@dataclass(frozen=True, kw_only=True)
class LatTargeted(FineTuning):
    """Fine-tune against perturbed activations that ask for the forgotten answers."""

    adversary: Adversary = preset(Adversary, "targeted")
    """Who perturbs the model meanwhile."""
