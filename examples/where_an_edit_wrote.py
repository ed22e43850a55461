"""Compose a method from parts in Python, and see where it wrote: `python examples/where_an_edit_wrote.py`."""

from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import load_retain
from unlearnbench.model.loading import load
from unlearnbench.model.source import locate
from unlearnbench.running.words import parse_facts, parse_method
from unlearnbench.settings import made


def main() -> dict[str, float]:
    """The norm of the change of each component of the embedded model, after five steps."""
    located = locate("tiny", {}, None)
    model = load(located)
    facts = parse_facts("sports:people-16")
    split = facts.split(seed=0)
    seen = split.for_methods()
    place = EditingPlace(facts.card, located.source, load_retain(model, "world", split), seed=0)
    method = parse_method("attribution_patching[budget=0.4,objective=log1mp,steps=5]").resolved(located.source)

    where = method.localize(model, seen, place)
    control = made(Localizer, "random_mlps[budget=0.4]").localize(model, seen, place)
    print(f"chosen {where.components}; random {control.components}; overlap {where.overlap(control):.2f}")

    with model.restored(where.tensors) as before:
        method.edit(model, seen, where, place)
        change = {
            name: sum((model.parameters[p] - before[p]).square().sum().item() for p in component.parameters) ** 0.5
            for name, component in model.components.items()
            if name in where.components
        }
    for name, norm in change.items():
        print(f"{name:12} {norm:.4f}")
    return change


if __name__ == "__main__":
    main()
