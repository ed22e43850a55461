"""Suites: named, versioned lists of runs, as YAML files in `suites/` or anywhere else."""

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.records.spec import SEED_LIMIT

FOLDER = Path(__file__).parent / "suites"


class Suite(BaseModel):
    """What `run --suite` reads; the fields are the options of `run`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: int = Field(ge=1)
    about: str
    model: str
    model_args: dict[str, str] = {}
    facts: list[str] = Field(min_length=1)
    methods: list[str] = Field(min_length=1)
    tasks: list[str] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0, lt=SEED_LIMIT)]] = Field(min_length=1)
    batch_size: int = 64
    retain_text: str | None = None
    tuned: Path | None = None
    """A file of tuned settings, beside the suite's own."""
    board: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]*$")
    """The folder of results that it shares with other suites (by default one of its own)."""

    @property
    def folder(self) -> str:
        """Where its runs go, below the results."""
        return f"{self.board or self.name}-v{self.version}"


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a repeated key is an error instead of a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = {key for key in keys if keys.count(key) > 1}
        if repeated:
            raise UsageError(f"the key {sorted(map(str, repeated))[0]!r} occurs twice")
        return super().construct_mapping(node, deep)


def suites() -> tuple[str, ...]:
    """The names of the suites that ship with the project."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_suite(name: str) -> Suite:
    """A shipped suite by name, or one from a `.yaml` file.

    Raises `UnknownName` where there is none, `UsageError` where a key or a value is wrong.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise UnknownName("suite", name, suites())
    try:
        content = yaml.load(path.read_bytes(), _StrictLoader)  # a SafeLoader; it reads UTF-8
        suite = Suite.model_validate(content)
        return suite.model_copy(update={"tuned": path.parent / suite.tuned}) if suite.tuned else suite
    except (yaml.YAMLError, UsageError) as error:
        raise UsageError(f"suite {path.name} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"suite {path.name}: {where}: {first['msg']}", f"the keys are {', '.join(Suite.model_fields)}"
        ) from None
