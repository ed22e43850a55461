"""What can be set of an entry, as `ls --settings` shows it: type, bounds, default and the sentence beside it."""

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from unlearnbench.registry import Entry
from unlearnbench.settings import defaults_of, word_of


class Setting(NamedTuple):
    """One thing that can be set."""

    name: str
    kind: str
    """Its type, with bounds or choices."""
    default: str
    about: str
    """The sentence that stands under the field."""


def described(entry: Any) -> list[Setting]:
    """Every setting of a dataclass that has a default; those of a method's parts are listed with the parts."""
    hints, sentences = get_type_hints(entry, include_extras=True), _sentences(entry)
    return [
        Setting(name, _kind(hints[name]), _shown(default), sentences.get(name, ""))
        for name, default in defaults_of(entry).items()
    ]


def _shown(value: Any) -> str:
    return word_of(value) if isinstance(value, Entry) else str(value)


def _kind(hint: Any) -> str:
    """`int, ≥ 1` for `Annotated[int, Field(ge=1)]`, `slow|fast` for a literal, `objective` for a part."""
    bounds: list[str] = []
    for detail in getattr(hint, "__metadata__", ()):
        for limit in getattr(detail, "metadata", [detail]):
            for key, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
                if hasattr(limit, key):
                    bounds.append(f"{sign} {getattr(limit, key)}")
    plain = get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
    return ", ".join([_name(plain), *bounds])


def _name(plain: Any) -> str:
    if get_origin(plain) is Literal:
        return "|".join(map(str, get_args(plain)))
    if isinstance(plain, type):
        return plain.catalogue.kind if issubclass(plain, Entry) else plain.__name__
    alternatives = [arg for arg in get_args(plain) if arg is not type(None)]
    return "|".join(_kind(arg) for arg in alternatives) if alternatives else str(plain)


def _sentences(entry: Any) -> dict[str, str]:
    """The string that stands under each field, of the class and of those that it builds on."""
    found: dict[str, str] = {}
    for base in reversed(entry.__mro__):
        try:
            source = textwrap.dedent(inspect.getsource(base))
        except (OSError, TypeError):
            continue
        body = ast.parse(source).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for one, following in pairwise(statements):
            is_field = isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
            if is_field and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                found[one.target.id] = " ".join(str(following.value.value).split())  # type: ignore[attr-defined]
    return found
