"""What a command asks for, wherever it was written: as data, then as cells with a folder for their records."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unlearnbench import registry
from unlearnbench.editing.localization_file import read_localization
from unlearnbench.errors import UsageError
from unlearnbench.factset import FactSet
from unlearnbench.model.source import Located, locate
from unlearnbench.running.grid import crossed
from unlearnbench.running.knowledge import informed
from unlearnbench.running.plan import Cell, plan
from unlearnbench.running.tuned_file import read_tuned, tuned_words
from unlearnbench.running.words import parse_facts, parse_methods
from unlearnbench.settings import configured

RESULTS = Path("results")
MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Request:
    """The words of a command; the fields are the options of `unlearnbench run`."""

    methods: Sequence[str]
    facts: Sequence[str]
    tasks: Sequence[str]
    model: str = "tiny"
    model_args: dict[str, str] = field(default_factory=dict)
    seeds: Sequence[int] = (0,)
    method_args: dict[str, str] = field(default_factory=dict)
    grid: dict[str, list[str]] = field(default_factory=dict)
    """Settings, each with several values: every method is run with every combination."""
    localization: Path | str | None = None
    tuned: Path | str | None = None
    """A file of tuned settings, which take the place of each method's word."""
    facts_file: str | None = None
    retain_text: str | None = None
    batch_size: int = 64
    device: str = "cpu"
    threads: int | None = None
    keep_edits: bool = False
    save_model: bool = False
    output_path: Path = RESULTS / "scratch"


@dataclass(frozen=True)
class Order:
    """A request whose words are all known: the cells, the model's files and the folder for the records."""

    request: Request
    located: Located
    cells: Sequence[Cell]

    @property
    def output(self) -> Path:
        """The results folder."""
        return Path(self.request.output_path)

    def folder(self, cell: Cell) -> Path:
        """Where a cell's record lies."""
        return self.output / cell.spec.path


def ordered(request: Request) -> Order:
    """Look up every word. Raises `UsageError`, with the nearest name that exists, for one that cannot be right."""
    for name in ("methods", "facts", "tasks"):
        if not getattr(request, name):
            raise UsageError(f"nothing is said about {name}", "see 'unlearnbench run --help'")
    refuse_out_of_range(batch_size=request.batch_size, threads=request.threads)
    shared: dict[str, Any] = dict(request.method_args)
    if request.localization:
        file = Path(request.localization)
        read_localization(file)  # wrong, though no method may have a localizer
        # First, so that settings which are shared besides, such as a budget, are set in it.
        shared = {"localizer": configured(registry.localizers["from_file"], {"file": file}, "--localization"), **shared}
    words = request.methods
    if request.tuned:
        words = tuned_words(words, read_tuned(Path(request.tuned)), Path(request.tuned).name)
    methods = parse_methods(crossed(words, request.grid), shared)
    named = [parse_facts(word, request.facts_file) for word in request.facts]
    located = locate(request.model, request.model_args, request.retain_text)
    for fact_set in named:
        refuse_untold(fact_set, located)
    facts = [informed(fact_set, located, request.device) for fact_set in named]
    cells = plan(
        methods=methods,
        facts=facts,
        tasks=request.tasks,
        seeds=request.seeds,
        source=located.source,
        batch_size=request.batch_size,
    )
    return Order(request, located, cells)


def refuse_out_of_range(**options: int | None) -> None:
    """Raise `UsageError` for an option that cannot be so small, or so large."""
    for name, value in options.items():
        if value is not None and not 1 <= value <= MOST:
            raise UsageError(f"--{name} must be 1 or more, and {MOST:,} at the most, not {value}")


def refuse_untold(facts: FactSet, located: Located) -> None:
    """Raise `UsageError` for facts about real people, and a model of an invented world."""
    if located.source.kind == "organism" and facts.real:
        entries: list[type[FactSet]] = list(registry.fact_sets.values())
        known = (f"{entry.name}:{variant}" for entry in entries for variant in entry.variants)
        able = ", ".join(label for label in known if not parse_facts(label).real)
        raise UsageError(f"{located.source.name} was never told of {facts.label}", f"it knows {able}")
