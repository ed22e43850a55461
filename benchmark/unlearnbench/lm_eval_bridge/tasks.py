"""lm-eval's tasks by name, without reading the definitions of all 14,000 of them."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from unlearnbench.errors import MissingPrerequisite, UnknownName, UsageError
from unlearnbench.hashing import content_hash, file_hash
from unlearnbench.lm_eval_bridge.data import datasets_found
from unlearnbench.lm_eval_bridge.frozen import FEWSHOT_SEED
from unlearnbench.lm_eval_bridge.guard import generators_kept, process_kept
from unlearnbench.lm_eval_bridge.quiet import quiet

with process_kept():
    import lm_eval.tasks  # type: ignore[import-untyped]
    from lm_eval.tasks._yaml_loader import load_yaml  # type: ignore[import-untyped]

RESULT = "result.json"
OWN = Path(lm_eval.tasks.__file__).parent
_NAME = re.compile(r"""^["']?(?:task|group)["']?:[ \t]*["']?([^\s"'#\[{]+)""", re.MULTILINE)
_GROUP = re.compile(r"""^["']?group["']?:""", re.MULTILINE)
_TAGS = re.compile(r"""^["']?tag["']?:[ \t]*(\S[^\n]*|(?:\n[ \t]*-[^\n]*)+)""", re.MULTILINE)
_INCLUDE = re.compile(r"""^["']?include["']?:[ \t]*["']?([^\s"'#]+)""", re.MULTILINE)
_WORD = re.compile(r"[^\s,\[\]\"'#]+")


def load_tasks(
    names: Sequence[str],
    include: Sequence[Path] = (),
    shots: int | None = None,
    data: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """What lm-eval's `evaluate` takes: `tasks`, `groups` and `group_map` of these tasks, groups and tags.

    `include` are folders with further YAML files; they win over lm-eval's own. `shots` is as in lm-eval: a task
    whose file says 0 stays at 0. `data` says where a dataset of the hub lies on this disk.
    Raises `UnknownName`, `UsageError` for a file that cannot be read, and `MissingPrerequisite` where a folder
    or a dataset is out of reach.
    """
    for folder in include:
        if not folder.is_dir():
            raise MissingPrerequisite(f"there is no folder {folder}", "give a folder with YAML files of tasks")
    wanted = list(dict.fromkeys(names))
    own = _folders_of(wanted, include)
    with quiet(), process_kept(), generators_kept():
        manager = lm_eval.tasks.TaskManager(include_path=[*_outermost(own), *include], include_defaults=False)
        for name in wanted:
            if name not in manager.task_index:
                raise _not_indexed(name, include)
        with datasets_found(data or {}):
            try:
                loaded: dict[str, Any] = manager.load(wanted)
            except ValueError as error:
                if "Duplicate task" not in str(error):
                    raise
                raise UsageError(str(error), "name the group or its task, not both") from None
    for task in loaded["tasks"].values():
        pinned = task.get_config("num_fewshot")
        if pinned != 0:
            task.set_config(key="num_fewshot", value=(pinned or 0) if shots is None else shots)
        task.set_fewshot_seed(seed=FEWSHOT_SEED)
    return loaded


def refuse_unknown(name: str, include: Sequence[Path] = ()) -> None:
    """Raise `UnknownName` where neither lm-eval nor these folders define the task, without loading anything."""
    if not any(name in _definitions.__wrapped__(folder) for folder in include) and not _defining(name):
        raise _not_indexed(name, include)


def folder_files(folder: Path) -> str:
    """Digest of all files of a folder of tasks, since a task's YAML names others: templates, functions, data.

    Hidden files and folders of results are no part of it.
    """
    found = dict[str, str]()
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        if RESULT in files:
            folders.clear()
            continue
        paths = (Path(root, name) for name in sorted(files) if not name.startswith("."))
        found |= {path.relative_to(folder).as_posix(): file_hash(path) for path in paths}
    return content_hash(found)


# -- which files define a name -------------------------------------------------------------------------


@cache
def _definitions(folder: Path) -> Mapping[str, tuple[Path, ...]]:
    """The files below a folder that define each name: its own task or group, or the tasks that bear it as a tag.

    A scan of the text, for the files take ten times as long to parse. Templates (they do not end in .yaml, or in
    anything) count for the tags that they pass on.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    tags: dict[Path, list[str]] = {}
    templates: dict[Path, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in ("", ".yaml") and path.is_file()):
        text = path.read_text(encoding="utf-8", errors="replace")
        for name in _NAME.findall(text):
            found[name].append(path)
        tags[path] = [tag.removeprefix("-") for some in _TAGS.findall(text) for tag in _WORD.findall(some)]
        if included := _INCLUDE.search(text):
            templates[path] = Path(os.path.normpath(path.parent / included[1]))
    for path in tags:
        bearer = path
        for _ in templates:  # a file's own tags replace those of its template; templates in a ring have none
            if tags.get(bearer) or bearer not in templates:
                break
            bearer = templates[bearer]
        for tag in tags.get(bearer, ()):
            found[tag].append(path)
    found.pop("", None)
    return {name: tuple(paths) for name, paths in found.items()}


def _defining(name: str) -> tuple[Path, ...]:
    """The files of lm-eval that define a name, looked for first in the folders that are called like it."""
    start = re.split(r"[_\-]", name)[0].lower()
    for folder in sorted(OWN.iterdir()):
        if folder.is_dir() and folder.name.lower().startswith(start):
            paths = _definitions(folder).get(name, ())
            if any(name in _NAME.findall(path.read_text(encoding="utf-8", errors="replace")) for path in paths):
                return paths
    return _definitions(OWN).get(name, ())  # a tag: its tasks may be anywhere


def _folders_of(names: Iterable[str], include: Sequence[Path]) -> set[Path]:
    """The folders of lm-eval that are needed for these names and, for groups, for all their members."""
    mine: dict[str, tuple[Path, ...]] = {}
    for folder in include:
        mine |= _definitions.__wrapped__(folder)  # never remembered: these files are being written
    folders: set[Path] = set()
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        paths = mine.get(name) or _defining(name)
        folders |= {path.parent for path in paths} if name not in mine else set()
        for path in paths:
            if path.suffix == ".yaml" and _GROUP.search(path.read_text(encoding="utf-8")):
                waiting += _members(_read(path))
    return folders


def _members(configuration: Mapping[str, Any]) -> Iterator[str]:
    """The names that a group lists, however deep."""
    listed = configuration.get("task")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, Mapping):
            inside = list(_members(entry))  # of a group that is defined here, whose name nothing else defines
            yield from inside or (entry[key] for key in ("task", "group") if isinstance(entry.get(key), str))


def _outermost(folders: set[Path]) -> list[Path]:
    """Without those that are below another: a folder is read with all that is below it."""
    return [f for f in sorted(folders) if not any(other in f.parents for other in folders)]


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = load_yaml(path, resolve_func=False)
    except Exception as error:
        raise UsageError(f"{path} cannot be read: {error}", "correct the file") from error
    return found


def _not_indexed(name: str, include: Sequence[Path]) -> UsageError:
    """Why lm-eval knows no such task: nothing defines it, or what does is a file that lm-eval skipped in silence."""
    for folder in include:
        for path in _definitions.__wrapped__(folder).get(name, ()):
            _read(path)
    known = {known for folder in (OWN, *include) for known in _definitions(folder)}
    near = UnknownName("task", name, known)
    if near.hint.count(",") > 50:
        near.hint = near.hint.split("there is:")[0] + "`lm-eval ls tasks` lists all"
    return near


__all__ = ["FEWSHOT_SEED", "folder_files", "load_tasks", "refuse_unknown"]
