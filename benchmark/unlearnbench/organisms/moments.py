"""What AdamW remembers, as tensors of a checkpoint."""

from collections.abc import Mapping

from torch import Tensor
from torch.optim import Optimizer

KEYS = ("step", "exp_avg", "exp_avg_sq")


def moments(optimizer: Optimizer) -> dict[str, Tensor]:
    """Step and moments of every parameter that was trained, by its number."""
    states = optimizer.state_dict()["state"]
    return {f"optimizer.{i}.{key}": value for i, state in states.items() for key, value in state.items()}


def remember(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put them back; a parameter that was not trained yet has none."""
    state = optimizer.state_dict()
    for i in range(len(state["param_groups"][0]["params"])):
        if f"optimizer.{i}.step" in tensors:
            state["state"][i] = {key: tensors[f"optimizer.{i}.{key}"] for key in KEYS}
    optimizer.load_state_dict(state)
