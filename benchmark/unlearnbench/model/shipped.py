"""Which organisms ship with the project, and where their files are."""

from pathlib import Path

from unlearnbench.errors import UnknownName
from unlearnbench.model.taught import taught

TINY = "tiny"
"""The organism whose configuration and tokenizer the taught ones have too."""
MODELS = Path(__file__).parents[1] / "organisms" / "models"
BASE = "base"


def organisms() -> tuple[str, ...]:
    """The names of the shipped organisms."""
    return tuple(sorted(folder.name for folder in MODELS.iterdir() if (folder / BASE).is_dir()))


def organism_folder(name: str) -> Path:
    """The folder of an organism's configuration, tokenizer and weights; raises `UnknownName`.

    Of the weights, `organism_overlays` may replace some.
    """
    if name not in organisms():
        raise UnknownName("organism", name, organisms())
    folder = MODELS / name / BASE
    return folder if (folder / "config.json").is_file() else MODELS / TINY / BASE


def organism_overlays(name: str) -> tuple[Path, ...]:
    """Of an organism stored as changes: the model before it was taught, and the changes."""
    folder = MODELS / name / BASE
    lesson = taught(folder)
    return (lesson.model_before(folder), folder) if lesson is not None and lesson.only_changes else ()


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
