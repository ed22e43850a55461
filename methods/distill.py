"""Distillation after unlearning (UNDO): what is hidden in the weights does not survive noise, what is said does.

Lee et al. (2025, arXiv 2506.06278): the unlearned model is the teacher; its weights are damaged by noise, and repaired
by learning from it on plain text and on facts to keep. Whatever the teacher does not say is not repaired.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.adversary import Adversary
from unlearnbench.editing.finetuning import MOST_STEPS, FineTuning
from unlearnbench.editing.keeping import on_answers, on_text
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.losses import kl_divergence
from unlearnbench.editing.method import History
from unlearnbench.editing.objective import Objective, Term
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.room import refuse_without_room
from unlearnbench.editing.training import finetune
from unlearnbench.facts import TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed
from unlearnbench.settings import made, preset


@register("distill")
@dataclass(frozen=True, kw_only=True)
class Distill(FineTuning):
    """Fine-tune, damage the weights by noise, and let the fine-tuned model teach the damaged one."""

    objective: Objective = preset(Objective, "graddiff")
    """What is minimized on the facts to forget, before the damage."""
    damage: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """α: weights become (1 − α) · θ + α · `noise` · fresh ones. Vectors, such as those of norms, stay."""
    noise: Annotated[float, Field(ge=0)] = 0.1
    """β: how large the fresh weights are, in units of those that the model's configuration begins with."""
    repair_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 100
    """Optimizer steps of distillation."""

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Both; the history goes on from one to the other. Raises `NoRoom` without room for a teacher."""
        refuse_without_room(model, where.tensors)
        whole = self.steps + self.repair_steps
        first = replace(place, progress=lambda done, _: place.progress(done, whole))
        history = super().edit(model, split, where, first)
        teacher = model.frozen_copy(where.tensors)
        self._damage(model, where, place.seed)
        taught = len(history)
        repaired = finetune(
            model,
            split,
            where,
            terms=[
                Term("retain_kl", on_text(kl_divergence, model, teacher)),
                Term("maintain_kl", on_answers(kl_divergence, model, teacher), about="maintain"),
            ],
            adversary=made(Adversary, "none"),
            course=replace(self.course(), steps=self.repair_steps),
            place=replace(
                place,
                seed=derive_seed(place.seed, "repair"),
                progress=lambda done, _: place.progress(taught + done, taught + self.repair_steps),
            ),
        )
        return [*history, *({**row, "step": row["step"] + taught} for row in repaired)]

    def _damage(self, model: Model, where: Localization, seed: int) -> None:
        generator = torch.Generator().manual_seed(derive_seed(seed, "damage"))
        spread = float(getattr(model.network.config.get_text_config(), "initializer_range", 0.02))
        for name in sorted(where.tensors):
            old = model.parameters[name].detach()
            if old.dim() > 1:
                fresh = spread * torch.randn(old.shape, generator=generator).to(old.device)
                model.write({name: (1 - self.damage) * old.float() + self.damage * self.noise * fresh})
