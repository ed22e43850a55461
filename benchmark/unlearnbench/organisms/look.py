"""A quick look at an organism while it learns; `unlearnbench organism-report` measures the finished model."""

from unlearnbench.model.model import Model
from unlearnbench.organisms.knowledge import chosen, exam, said, told
from unlearnbench.world.forgotten import forgettable
from unlearnbench.world.people import never_known
from unlearnbench.world.questions import FORGOTTEN
from unlearnbench.world.wordings import DIRECT, HELD_OUT
from unlearnbench.world.world import world


def look(model: Model) -> dict[str, float]:
    """Shares of right answers: kept, to forget and never-known people, relations and school."""
    whole = world()
    forgotten = forgettable(f"people-{FORGOTTEN}", whole.people)
    kept = [person for person in whole.people if person not in forgotten][:150]
    found = dict[str, float]()
    for name, who in (("kept", kept), ("forget", forgotten), ("never", never_known()[:100])):
        found |= {name: said(model, who, DIRECT), f"{name} choice": chosen(model, who)}
    found |= {f"held-out {i}": said(model, kept, wording) for i, wording in enumerate(HELD_OUT)}
    relations = [(name, key, value) for name, values in whole.villagers[:80] for key, value in values.items()]
    found |= {"relations": told(model, relations), "school": exam(model, whole.lessons)}
    return {name: round(share, 3) for name, share in found.items()}
