"""The file of facts that several models know, to which a comparison of these models is limited."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from unlearnbench.errors import UsageError


class KnownFile(BaseModel):
    """What `unlearnbench known` writes, and `counterfact:64[among=FILE]` reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    facts: str
    """The fact set's name."""
    known: float
    """The least probability of the true answer."""
    source_sha256: str
    """Digest of the records that they were chosen from."""
    models: dict[str, str]
    """The weights of each model, and its name."""
    ids: tuple[str, ...]
    """Of the facts that all of them know, in the order in which they are forgotten."""

    @classmethod
    def read(cls, path: Path) -> "KnownFile":
        """Raises `UsageError` for a file that is not there, or is another."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError:
            raise UsageError(f"among={path}: there is no such file", "`unlearnbench known` writes it") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise UsageError(f"{path} was not written by `unlearnbench known`: {where}: {first['msg']}") from None
