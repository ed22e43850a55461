"""Which organisms ship with the project, and where their files are."""

from pathlib import Path

from unlearnbench.errors import UnknownName

MODELS = Path(__file__).parents[1] / "organisms" / "models"
BASE = "base"


def organisms() -> tuple[str, ...]:
    """The names of the shipped organisms."""
    return tuple(sorted(folder.name for folder in MODELS.iterdir() if (folder / BASE).is_dir()))


def organism_folder(name: str) -> Path:
    """The folder of an organism's base model and tokenizer; raises `UnknownName`."""
    if name not in organisms():
        raise UnknownName("organism", name, organisms())
    return MODELS / name / BASE


def oracle_folder(name: str, facts: str) -> Path | None:
    """The weights that never saw the facts to forget of this fact set (`sports:people-64`), if shipped."""
    return _oracles(name).get(facts)


def oracles(name: str) -> tuple[str, ...]:
    """The fact sets of which an organism has an oracle."""
    return tuple(sorted(_oracles(name)))


def _oracles(name: str) -> dict[str, Path]:
    """Folders by the fact sets they never saw; one may lack several: `without-sports-people-64+counterfact-64`."""
    return {
        label.replace("-", ":", 1): folder
        for folder in MODELS.joinpath(name).glob("without-*")
        for label in folder.name.removeprefix("without-").split("+")
    }
