"""The order of methods: the oracle first, what did nothing or broke everything last, and nobody by a trick."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from unlearnbench.cli import main
from unlearnbench.leaderboard.document import stale
from unlearnbench.leaderboard.evidence import Answered, Items
from unlearnbench.leaderboard.ranking import Ranking, Runs, ranking
from unlearnbench.leaderboard.rankings import notes
from unlearnbench.leaderboard.score import family_of, forgotten, harmonic, kept, recovery, robust

SUBJECTS, SEEDS = 32, (0, 1, 2)
GUESS = 0.2
ATTACKS = ("relearning", "prompts", "probing")
Share = Callable[[str], float]
"""How often a method is right, by task: of forgetting, of keeping, or an attack."""


def key(task: str, **settings: int) -> str:
    """As records have it."""
    return json.dumps({"name": f"sports/{task}", "settings": settings})


def items(rng: np.random.Generator, share: float, kind: str) -> Items:
    """One right or wrong answer for each subject; those who are kept are others than those who are forgotten."""
    return tuple((f"{kind}-{i}", float(rng.random() < share)) for i in range(SUBJECTS))


def runs(shares: Share, seed: int = 0) -> Runs:
    """A method that is right so often."""
    rng = np.random.default_rng(seed)

    def tasks() -> dict[str, Answered]:
        found = {
            key("forget"): Answered("forget", items(rng, shares("forget"), "gone"), GUESS),
            key("paraphrase"): Answered("forget", items(rng, shares("paraphrase"), "gone"), GUESS),
            key("maintain"): Answered("retain", items(rng, shares("maintain"), "kept"), GUESS),
        }
        for attack in ATTACKS:
            known, never = items(rng, 1.0, "gone"), items(rng, GUESS, "never")
            found[key(attack)] = Answered("robust", items(rng, shares(attack), "gone"), None, known, never)
        return found

    return {seed: tasks() for seed in SEEDS}


def by_name(**shares: float) -> Share:
    """What is not named is known as the base knows it."""
    return lambda task: shares.get(task, shares.get("attacks", 1.0) if task in ATTACKS else 1.0)


METHODS: Mapping[str, Runs] = {
    "none": runs(by_name()),
    "oracle": runs(by_name(forget=GUESS, paraphrase=GUESS, attacks=GUESS), 1),
    "unchanged": runs(by_name(), 2),
    "collapse": runs(by_name(forget=0.0, paraphrase=0.0, maintain=0.0, attacks=0.0), 3),
    "constant scorer": runs(lambda _: GUESS, 4),
    "refuses everything": runs(lambda _: 0.0, 5),
    "refuses what was forgotten": runs(by_name(forget=0.0, paraphrase=0.0, attacks=0.95), 6),
    "first wording only": runs(by_name(forget=0.0, paraphrase=0.95, attacks=0.95), 7),
    "good": runs(by_name(forget=0.2, paraphrase=0.3, maintain=0.9, attacks=0.3), 8),
}


@pytest.fixture(scope="module")
def ranked() -> Ranking:
    """All of them."""
    found = ranking(METHODS)
    assert found is not None
    return found


def test_the_oracle_is_first_and_nothing_and_collapse_are_last(ranked: Ranking) -> None:
    order = [one.method for one in ranked.placed]

    assert order[0] == "oracle"
    assert order[1] == "good"
    assert {"none", "unchanged", "collapse", "refuses everything"} <= set(order[-6:])
    scores = {one.method: one.axes["S"].value for one in ranked.placed}
    for trick in ("none", "unchanged", "collapse", "constant scorer", "refuses everything", "first wording only"):
        assert scores[trick] < 0.2 < scores["good"] < scores["oracle"], trick
    assert scores["refuses what was forgotten"] < 0.3


def test_the_oracle_may_have_the_first_place_and_no_other_that_is_worse(ranked: Ranking) -> None:
    places = {one.method: one.rank for one in ranked.placed}
    oracle = places["oracle"]
    assert oracle is not None
    assert oracle.first == 1
    assert ranked.against == "oracle"
    for method, place in places.items():
        if method not in ("oracle", "good"):
            assert place is not None
            assert place.first > oracle.last


def test_every_number_has_an_interval_around_it(ranked: Ranking) -> None:
    for one in ranked.placed:
        assert set(one.axes) == {"F", "R", "B", "S"}
        for quantity in one.axes.values():
            assert 0 <= quantity.low <= quantity.value <= quantity.high <= 1


def test_the_first_tier_is_what_nothing_is_better_than(ranked: Ranking) -> None:
    tiers = {one.method: one.tier for one in ranked.placed}
    fronts = {one.method: one.front for one in ranked.placed}
    assert tiers["good"] == 1
    assert fronts["good"] == pytest.approx(1.0, abs=0.05)
    for name in ("oracle", "none"):
        assert tiers[name] is None, "they are no methods"
    for name in ("unchanged", "collapse", "constant scorer", "refuses everything"):
        assert tiers[name] is None, "to be best at one thing and have nothing of another is no trade-off"


def test_where_no_attack_was_made_nobody_is_ranked_and_it_is_said_why() -> None:
    plain = {
        name: {seed: {k: v for k, v in tasks.items() if v.axis != "robust"} for seed, tasks in mine.items()}
        for name, mine in METHODS.items()
    }
    found = ranking(plain)

    assert found is not None
    assert {one.rank for one in found.placed} == {None}
    assert notes(found) == ["not ranked: no attack was asked for, so that nothing is known of B robust"]


def test_less_than_the_base_was_asked_is_shown_and_has_no_place() -> None:
    short = {seed: tasks for seed, tasks in METHODS["good"].items() if seed != 2}
    few = {seed: {k: v for k, v in tasks.items() if "probing" not in k} for seed, tasks in METHODS["good"].items()}

    found = ranking({**METHODS, "two seeds": short, "no probing": few})

    assert found is not None
    placed = {one.method: one for one in found.placed}
    assert placed["two seeds"].lacks == ("a valid run at seed 2",)
    assert placed["no probing"].lacks == ("sports/probing",)
    for name in ("two seeds", "no probing"):
        assert placed[name].rank is None
        assert "F" in placed[name].axes
    assert [one.method for one in found.placed[-2:]] == ["no probing", "two seeds"] or found.placed[-1].rank is None
    assert "B" not in placed["no probing"].axes


def test_a_table_without_a_base_cannot_be_ranked_and_one_without_an_oracle_is_read_against_a_guess() -> None:
    assert ranking({"good": METHODS["good"]}) is None
    found = ranking({name: METHODS[name] for name in ("none", "good")})
    assert found is not None
    assert found.against == "chance"
    assert found.placed[0].method == "good"


def test_an_attack_with_two_settings_counts_as_its_worst() -> None:
    """And nobody loses B for it."""

    def twice(runs: Runs) -> Runs:
        return {seed: {**tasks, key("probing", layer=1): tasks[key("probing")]} for seed, tasks in runs.items()}

    found, plain = ranking({name: twice(runs) for name, runs in METHODS.items()}), ranking(METHODS)

    assert found is not None
    assert plain is not None
    values = [{one.method: one.axes["B"].value for one in r.placed} for r in (found, plain)]
    assert values[0] == pytest.approx(values[1])


def test_an_oracle_that_was_asked_less_is_none() -> None:
    """Its mean would be of other facts than the base's."""
    short = {seed: tasks for seed, tasks in METHODS["oracle"].items() if seed != 2}

    found = ranking({**METHODS, "oracle": short})

    assert found is not None
    assert found.against == "chance"


def test_a_task_on_which_base_and_reference_are_alike_counts_for_nobody() -> None:
    def with_easy(shares: float, method: str) -> Runs:
        rng = np.random.default_rng(0)
        easy = Answered("forget", items(rng, shares, "gone"), GUESS)
        return {seed: {**tasks, key("easy"): easy} for seed, tasks in METHODS[method].items()}

    easy = {"none": with_easy(0.2, "none"), "oracle": with_easy(0.2, "oracle"), "good": with_easy(1.0, "good")}
    found, plain = ranking(easy), ranking({name: METHODS[name] for name in easy})

    assert found is not None
    assert plain is not None
    assert [json.loads(task)["name"] for task in found.left_out] == ["sports/easy"]
    values = [{one.method: one.axes["F"].value for one in r.placed} for r in (found, plain)]
    assert values[0] == pytest.approx(values[1])


def test_scores_are_those_of_their_definitions() -> None:
    from unlearnbench.leaderboard.score import Reference

    def number(value: float) -> np.ndarray:
        return np.array([value, value])

    references = {"t": Reference(number(1.0), number(0.2))}
    assert forgotten({"t": number(0.6)}, references) == pytest.approx(number(0.5))
    assert forgotten({"t": number(0.0)}, references) == pytest.approx(number(1.0))
    assert kept({"t": number(0.6)}, references) == pytest.approx(number(0.5))
    assert recovery(number(0.5), number(0.2), number(0.8)) == pytest.approx(number(0.5))
    found = robust([("relearning", number(0.2)), ("relearning", number(0.6)), ("prompts", number(0.0))])
    assert found == pytest.approx(number((0.4 + 1.0) / 2))
    assert harmonic([number(0.5), number(1.0), number(1.0)]) == pytest.approx(number(0.75))
    assert harmonic([number(0.0), number(1.0), number(1.0)]) == pytest.approx(number(0.0))
    assert family_of("probing") == family_of("logit_lens") != family_of("somebodys_own") == "somebodys_own"


# -- the command ---------------------------------------------------------------------------------------


@pytest.mark.end_to_end
def test_real_runs_are_ranked_from_their_item_logs(
    committed: Callable[..., Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sports = "tiny/sports-people-64"
    committed(tmp_path, *(f"{sports}/{name}" for name in ("none", "oracle", "random_mlps")))
    committed(tmp_path, f"{sports}/early_mlps", seeds=[0])

    assert main(["leaderboard", str(tmp_path), "--ranked"]) == 0

    shown = capsys.readouterr().out
    places = [line.split()[0] for line in shown.splitlines() if line.startswith(("oracle", "none", "random", "early"))]
    assert places[0] == "oracle"
    assert places[-1] == "early_mlps"
    assert "not ranked, since they lack a valid run at seed 1: early_mlps" in shown
    assert "S is their harmonic mean" in shown


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("words", "complaint"),
    [(["--metric", "p_true"], "--ranked takes no --metric"), (["--format", "csv"], "shown as table or markdown")],
)
def test_what_cannot_be_ranked_is_said(
    words: list[str], complaint: str, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--methods", "random_mlps", "--tasks", "sports/forget") == 0
    capsys.readouterr()

    assert main(["leaderboard", "results", "--ranked"]) == 2
    assert "no table has a run of `none`" in capsys.readouterr().err
    assert main(["leaderboard", "results", "--ranked", *words]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.end_to_end
def test_the_document_is_what_the_records_say_and_nothing_is_written_from_records_that_are_not(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--methods", "none,random_mlps", "--seeds", "0,1") == 0
    document = Path("results/LEADERBOARD.md")

    assert main(["leaderboard", "build", "-o", "page.html"]) == 2
    assert "--output FILE.md" in capsys.readouterr().err
    assert main(["leaderboard", "check"]) == 2
    assert "leaderboard build results" in capsys.readouterr().err
    assert main(["leaderboard", "build"]) == 0
    assert main(["leaderboard", "check"]) == 0
    text = document.read_text()
    assert "sports:people-16 on tiny@" in text
    assert text.count("| completed |") == 4
    assert "random\\_mlps" in text

    document.write_text(text.replace("1.000", "0.999", 1))
    capsys.readouterr()
    assert main(["leaderboard", "check"]) == 1
    assert "is stale: line " in capsys.readouterr().out

    path = next(Path("results").rglob("result.json"))
    path.write_text(path.read_text().replace('"n": 16', '"n": 17', 1))
    assert main(["leaderboard", "build"]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert document.read_text() != text


def test_names_in_the_document_are_text() -> None:
    from unlearnbench.leaderboard.document import _inert

    assert _inert("<img src=x>|`a`*b*[c](d)\n") == r"\<img src=x\>\|\`a\`\*b\*\[c\](d) "


def test_the_first_line_that_differs_is_named() -> None:
    assert stale("a\nb\n", "a\nb\n") is None
    assert stale("a\nb\n", "a\nc\n") == "line 2 says 'b' and would say 'c'"
    assert stale("a\n", "a\nb\n") == "it has 1 lines and would have 2"
