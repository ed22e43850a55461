"""Untargeted latent adversarial training, of every parameter."""

from dataclasses import dataclass

from unlearnbench.editing.adversary import Adversary
from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("lat_untargeted")
@dataclass(frozen=True, kw_only=True)
class LatUntargeted(FineTuning):
    """Fine-tune against perturbed activations that raise the objective's loss."""

    adversary: Adversary = preset(Adversary, "untargeted")
    """Who perturbs the model meanwhile."""
