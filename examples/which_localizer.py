"""Hold every localizer to a truth: `python examples/which_localizer.py --models tiny tiny-planted --seeds 0 1 2`.

Three truths, for the scores that a localizer gives to components (MLPs, or MLPs and attentions):

- *exact*: what exact activation patching says, over the same facts. Spearman's ρ and Pearson's r.
- *planted*: into which k components the facts were taught, where that is known. AUROC, and the share of them among the
  first k.
- *edit*: how well an edit of each component alone works (`exhaustive`: what is forgotten, what is kept, and what
  relearning does not bring back, as a harmonic mean). Spearman's ρ. It takes four minutes for each model and seed;
  `--no_edits` leaves it out.

Seconds, and the tokens that went through the model over those of one pass over the prompts; a backward pass counts as
two. Means over seeds. `–`: no such truth, or no score of attentions.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import roc_auc_score
from tabulate import tabulate

from unlearnbench.editing.localizer import Localizer
from unlearnbench.errors import UsageError
from unlearnbench.include import include
from unlearnbench.locating.contrast import pairs_of
from unlearnbench.model.reading import padded
from unlearnbench.model.source import locate
from unlearnbench.running.localizing import Search, Sought
from unlearnbench.running.words import parse_facts
from unlearnbench.settings import made

EXACT, EDITED = "exact_patching", "exhaustive[among=all]"
WORDS = (
    "exact_patching[direction=denoising]",
    "attribution_patching",
    "attribution_patching[points=1]",
    "eap_ig",
    "relp",
    "causal_tracing",
    "fact_lookup[least=0]",
    "probe_rise",
    "gradient",
    "gradient[statistic=magnitude]",
    "greedy_pruning",
    "early_mlps",
    "random_mlps",
)
Scores = Mapping[str, float]
Row = dict[str, float]
KINDS = {"mlp": "MLPs", "": "all"}


def found(search: Search, word: str) -> Sought:
    """What one localizer finds."""
    return search.find(made(Localizer, word))  # type: ignore[type-abstract]


def agreement(scores: Scores, truth: Scores, names: Sequence[str]) -> tuple[float, float]:
    """Spearman's ρ and Pearson's r over these components; NaN where one of the two does not vary."""
    mine, theirs = ([values[name] for name in names] for values in (scores, truth))
    if len(set(mine)) < 2 or len(set(theirs)) < 2:
        return math.nan, math.nan
    return float(spearmanr(mine, theirs).statistic), float(pearsonr(mine, theirs).statistic)


def recovery(scores: Scores, planted: Sequence[str], names: Sequence[str]) -> tuple[float, float]:
    """AUROC and precision at k against the planted components, among these; a tie at the border counts by its share."""
    true = [name in planted for name in names]
    values = [scores[name] for name in names]
    border = sorted(values, reverse=True)[sum(true) - 1]
    above, at = [v > border for v in values], [v == border for v in values]
    share = (sum(true) - sum(above)) / sum(at)
    hits = sum(t * (a + share * e) for t, a, e in zip(true, above, at, strict=True))
    return float(roc_auc_score(true, values)), hits / sum(true)


def rows(search: Search, truths: Mapping[str, Scores], planted: Sequence[str], words: Sequence[str]) -> dict[str, Row]:
    """Every localizer on one model and seed."""
    examples = pairs_of(search.model, search.seen, 64, search.place().seed).clean
    one_pass, table = padded(search.model, examples).numel(), dict[str, Row]()
    for word in words:
        try:
            one = found(search, word)
        except UsageError as error:
            print(f"{word} finds nothing: {error}", flush=True)
            continue
        row = table.setdefault(word, {})
        for kind, told in KINDS.items():
            names = [name for name in search.model.components if name.startswith(kind)]
            if not set(names) <= set(one.where.scores):
                continue
            for truth, values in truths.items():
                rho, r = agreement(one.where.scores, values, names)
                row[f"{truth} ρ, {told}"] = rho
                if truth == "exact":
                    row[f"{truth} r, {told}"] = r
            true = [name for name in planted if name in names]
            if true:
                auroc, precision = recovery(one.where.scores, true, names)
                row |= {f"planted AUROC, {told}": auroc, f"precision@{len(true)}, {told}": precision}
        row |= {"seconds": one.seconds, "passes": (one.forward + 2 * one.backward) / one_pass}
    return table


def main(
    models: Sequence[str],
    facts: str,
    seeds: Sequence[int],
    *,
    no_edits: bool = False,
    localizers: Sequence[str] | None = None,
    folders: Sequence[Path] = (),
) -> dict[str, dict[str, list[Row]]]:
    """Print one table per model; returns the rows by model, localizer and seed."""
    torch.set_num_threads(1)
    for folder in folders:
        include(folder)
    tables: dict[str, dict[str, list[Row]]] = {}
    for name in models:
        located, table = locate(name, {}, None), tables.setdefault(name, {})
        for seed in seeds:
            search = Search(located, parse_facts(facts), seed)
            true = made(Localizer, "planted")  # type: ignore[type-abstract]
            known = true.skip(search.facts.card, located.source) is None
            planted = found(search, "planted").where.components if known else ()
            truths = {"exact": found(search, EXACT).where.scores}
            if not no_edits:
                truths["edit"] = found(search, EDITED).where.scores
                told = ", ".join(f"{part} {score:.2f}" for part, score in truths["edit"].items())
                print(f"{name} seed {seed}: an edit of each alone works so well: {told}", flush=True)
            for word, row in rows(search, truths, planted, localizers or (EXACT, *WORDS)).items():
                table.setdefault(word, []).append(row)
        columns = list(dict.fromkeys(column for measured in table.values() for row in measured for column in row))
        columns.sort(key=lambda column: column in ("seconds", "passes"))
        lines = [[word, *(_mean(measured, column) for column in columns)] for word, measured in table.items()]
        print(f"\n{name}, {facts}, seeds {list(seeds)}\n")
        print(tabulate(lines, ["localizer", *columns], tablefmt="github", disable_numparse=True), flush=True)
    return tables


def _mean(measured: Sequence[Row], column: str) -> str:
    values = [row[column] for row in measured if not math.isnan(row.get(column, math.nan))]
    if not values:
        return "–"
    mean = fmean(values)
    return f"{mean:.0f}" if mean >= 100 else f"{mean:.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["tiny", "tiny-planted"])
    parser.add_argument("--facts", default="sports:people-64")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--no_edits", action="store_true", help="leave out how well edits work")
    parser.add_argument("--localizers", nargs="+", help="these, instead of those that ship")
    parser.add_argument("--include", dest="folders", nargs="+", type=Path, default=(), help="folder with your own")
    main(**vars(parser.parse_args()))
