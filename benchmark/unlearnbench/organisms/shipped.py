"""Which organisms ship with the project, and where their files are."""

from pathlib import Path

from unlearnbench.errors import UnknownName

MODELS = Path(__file__).parent / "models"
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
    """The weights that never saw the facts to forget of this fact set (`sports:athletes-64`), if shipped."""
    folders = (MODELS / name).glob("without-*")
    return next((folder for folder in sorted(folders) if facts in _never_seen(folder)), None)


def oracles(name: str) -> tuple[str, ...]:
    """The fact sets of which an organism has an oracle; one model may be that of several."""
    folders = (MODELS / name).glob("without-*")
    return tuple(sorted(facts for folder in folders for facts in _never_seen(folder)))


def _never_seen(folder: Path) -> list[str]:
    """What `without-sports-athletes-64+counterfact-64` stands for."""
    return [part.replace("-", ":", 1) for part in folder.name.removeprefix("without-").split("+")]
