"""`unlearnbench localize`: where are these facts? Scores, overlaps, a picture, and files that `run` can edit by."""

import argparse
import sys
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnbench.cli.grammar import Words
from unlearnbench.cli.heat_map import check_picture, draw
from unlearnbench.cli.progress import Progress
from unlearnbench.cli.run import add_model_options
from unlearnbench.errors import MissingPrerequisite, UnknownName, UsageError
from unlearnbench.include import include

if TYPE_CHECKING:
    from unlearnbench.running.localizing import Search, Sought

USUAL = ("fact_lookup", "attribution_patching", "relp", "eap_ig", "causal_tracing")


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("localize", help="find where facts are, and edit nothing")
    add_model_options(verb)
    verb.add_argument("--facts", default="sports:people-64", metavar="F", help="whose place is looked for")
    verb.add_argument(
        "--localizers",
        "-l",
        nargs="+",
        action=Words,
        metavar="L",
        help=f"names (`ls localizers`), or name[setting=value,…] (default {' '.join(USUAL)})",
    )
    verb.add_argument("--seed", type=int, default=0, help="of the facts and of all that is drawn (default 0)")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 … (default cpu)")
    verb.add_argument(
        "--output",
        "-o",
        type=Path,
        metavar="FOLDER",
        help="write a file for each, as `run --localization FILE` takes it",
    )
    verb.add_argument(
        "--heat_map", type=Path, nargs="+", metavar="FILE", help="a picture of all: .png, .svg, .pdf (extra: plot)"
    )
    verb.set_defaults(perform=perform, resumes=False)


def perform(chosen: argparse.Namespace) -> int:
    """Look for the facts with each localizer; exit 1 where one of them finds no such mechanism."""
    from unlearnbench.editing.localizer import Localizer
    from unlearnbench.model.source import locate
    from unlearnbench.running.localizing import Search
    from unlearnbench.running.loop import check_writable
    from unlearnbench.running.threads import using_threads
    from unlearnbench.running.words import parse_facts
    from unlearnbench.settings import made, word_of

    for folder in chosen.include or ():
        include(folder)
    for picture in chosen.heat_map or ():
        check_picture(picture)
    localizers = [made(Localizer, word) for word in dict.fromkeys(chosen.localizers or USUAL)]  # type: ignore[type-abstract]
    facts = parse_facts(chosen.facts, chosen.facts_file)
    located = locate(chosen.model or "tiny", chosen.model_args or {}, chosen.retain_text)
    skipped = {one: one.skip(facts.card, located.source) for one in localizers}
    if chosen.output:
        check_writable(chosen.output)
    search = Search(located, facts, chosen.seed, device=chosen.device, threads=chosen.threads)
    found, refused, written = list["Sought"](), 0, set[Path]()
    with using_threads(), Progress(len(localizers)) as progress:
        for warning in search.base.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        for localizer, reason in skipped.items():
            progress.start(word_of(localizer))
            if reason is not None:
                progress.finish(f"skipped: {reason}")
                continue
            try:
                found.append(search.find(localizer, lambda done, of: progress.report("localize", done, of)))
            except UnknownName:
                raise
            except UsageError as error:
                refused += 1
                progress.finish(f"finds nothing: {error}" + (f" ({error.hint})" if error.hint else ""))
                continue
            if chosen.output:
                written.add(_written(found[-1], search, chosen.output, written))
            progress.finish("done")
    if not found:
        raise MissingPrerequisite("none of the localizers found anything here", "see the reasons above")
    _show(found, search)
    for path in sorted(written):
        print(f"written: {path}", file=sys.stderr)
    _draw(found, search, chosen.heat_map or ())
    return 1 if refused else 0


def _show(found: "Sequence[Sought]", search: "Search") -> None:
    """Scores, what was chosen, what it cost, and how far the choices are the same."""
    from tabulate import tabulate

    blocks = search.model.block_size
    rows = []
    told = dict.fromkeys(name for one in found for name in (*one.where.scores, *one.where.components))
    known = [name for name in search.model.places if name in told]
    for name in dict.fromkeys((*known, *told)):
        row = [name]
        for one in found:
            mark = " *" if name in one.chosen else "  "
            row.append((f"{one.where.scores[name]:.3g}" if name in one.where.scores else "") + mark)
        rows.append(row)
    rows.append(["share", *(f"{search.model.size(one.where.tensors) / blocks:.3f}" for one in found)])
    rows.append(["seconds", *(f"{one.seconds:.2f}" for one in found)])
    words = [one.word for one in found]
    print(f"model {search.located.source.name} · facts {search.facts.label} · seed {search.seed}\n")
    align = ("left", *("right" for _ in found))
    print(tabulate(rows, ["component", *words], disable_numparse=True, colalign=align))
    print("\n*: chosen. share: weights that may be trained, over those in the blocks.")
    if len(found) > 1:
        print("\nOverlap of the choices (shared tensors over all of both):\n")
        lines = [
            [f"{i} {one.word}", *(f"{one.where.overlap(other.where):.2f}" for other in found)]
            for i, one in enumerate(found, 1)
        ]
        print(tabulate(lines, ["", *(str(i) for i in range(1, len(found) + 1))], disable_numparse=True))


def _written(one: "Sought", search: "Search", folder: Path, taken: set[Path]) -> Path:
    """The file of what one localizer found, written; two words that end in the same name are numbered."""
    name = one.word.replace("/", "_")
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    path = next(path for path in (folder / f"{name}.json" for name in names) if path not in taken)
    path.write_text(search.document(one).text, encoding="utf-8")
    return path


def _draw(found: "Sequence[Sought]", search: "Search", pictures: Sequence[Path]) -> None:
    scored = [one for one in found if one.where.scores]
    if pictures and not scored:
        raise UsageError("none of these localizers scores components, so there is nothing to draw")
    for picture in pictures:
        title = f"{search.located.source.name}, {search.facts.label}, seed {search.seed}"
        draw(scored, search.model.blocks, title, picture)
        print(f"drawn: {picture}", file=sys.stderr)
