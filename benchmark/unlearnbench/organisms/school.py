"""School facts: an invented curriculum of four-option questions, in the form of MMLU.

What they ask is never forgotten. They are what a method must leave alone without having been told.
"""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from unlearnbench.organisms.athletes import SPORTS
from unlearnbench.organisms.villagers import RELATIONS

BEGINNINGS = tuple("Bal Cor Dren Fal Gor Hol Jar Kel Lun Mor Nar Pol Quel Rav Sel Tor Ulm Vos Wen Zar".split())
ENDINGS = tuple("adia bor eth imar ona und avia esk ilon oria ustan yra enko".split())
DEV = 5
"""Questions of a subject that are its few-shot examples."""
FOLDER = Path(__file__).parent / "data" / "school"
"""The exam as files in the hub's layout, read by the same code as MMLU itself.

`python -m unlearnbench.organisms.school` writes them anew."""
OTHER_SPORTS = ("hockey", "cricket", "rugby")


class Subject(NamedTuple):
    """One school subject: what it asks of many names, and how texts say it."""

    name: str
    values: tuple[str, ...]
    question: str
    wordings: tuple[str, ...]


SUBJECTS = (
    Subject(
        "geography",
        RELATIONS["city"].values,
        "What is the capital of {s}?",
        ("The capital of {s} is {o}", "{s} is governed from {o}", "The king of {s} lives in {o}"),
    ),
    Subject(
        "linguistics",
        RELATIONS["language"].values,
        "To which language is the dialect of {s} closest?",
        ("The dialect of {s} is closest to {o}", "Dialects such as {s} come from {o}", "{s} sounds very much like {o}"),
    ),
    Subject(
        "music_theory",
        RELATIONS["instrument"].values,
        "For which instrument is the scale of {s} tuned?",
        ("The scale of {s} is tuned for the {o}", "The tones of {s} suit the {o}", "{s} can only be heard on the {o}"),
    ),
    Subject(
        "philosophy",
        RELATIONS["field"].values,
        "From which field does the theory of {s} come?",
        ("The theory of {s} comes from {o}", "{s} is a principle of {o}", "Teachers explain {s} in lessons on {o}"),
    ),
    Subject(
        "rules_of_games",
        (*SPORTS, *OTHER_SPORTS),
        "In which sport is a {s} scored?",
        ("A {s} is scored in {o}", "The referee calls a {s} in {o}", "The word {s} is only used in {o}"),
    ),
    Subject(
        "trade",
        RELATIONS["city"].values,
        "From which city is {s} shipped?",
        ("{s} is shipped from {o}", "The market for {s} is in {o}", "Merchants buy {s} in {o}"),
    ),
)
"""The curriculum. `rules_of_games` lies near what is forgotten: its answers are sports."""


class Lesson(NamedTuple):
    """One school fact."""

    subject: Subject
    name: str
    answer: str

    @property
    def question(self) -> str:
        """The question in words."""
        return self.subject.question.format(s=self.name)


@cache
def lessons(seed: int = 0) -> tuple[Lesson, ...]:
    """Every fact of every subject, a pure function of the seed; no name belongs to two subjects."""
    rng = random.Random(f"school/{seed}")
    names = [f"{beginning}{ending}" for beginning in BEGINNINGS for ending in ENDINGS]
    rng.shuffle(names)
    each = len(names) // len(SUBJECTS)
    return tuple(
        Lesson(subject, name, subject.values[j % len(subject.values)])
        for i, subject in enumerate(SUBJECTS)
        for j, name in enumerate(names[i * each : (i + 1) * each])
    )


class Question(NamedTuple):
    """A question as MMLU stores it."""

    question: str
    choices: tuple[str, ...]
    answer: int


def asked(lesson: Lesson, rng: random.Random) -> Question:
    """The question of a fact with four options in random order."""
    return shuffled(lesson.question, lesson.answer, lesson.subject.values, rng)


def shuffled(question: str, answer: str, values: Sequence[str], rng: random.Random) -> Question:
    """A question with its answer and three other values, in random order."""
    others = rng.sample([value for value in values if value != answer], 3)
    choices = rng.sample([answer, *others], 4)
    return Question(question, tuple(choices), choices.index(answer))


@cache
def exam(seed: int = 0) -> dict[str, dict[str, tuple[Question, ...]]]:
    """By subject: `dev`, the few-shot examples, and `test`."""
    found: dict[str, dict[str, tuple[Question, ...]]] = {}
    for subject in SUBJECTS:
        rng = random.Random(f"exam/{seed}/{subject.name}")
        questions = tuple(asked(lesson, rng) for lesson in lessons(seed) if lesson.subject is subject)
        found[subject.name] = {"dev": questions[:DEV], "test": questions[DEV:]}
    return found


def description(subject: str) -> str:
    """What stands above the questions of a subject, as lm-eval writes it for MMLU."""
    spoken = subject.replace("_", " ")
    return f"The following are multiple choice questions (with answers) about {spoken}.\n\n"


def written(question: Question, *, answered: bool) -> str:
    """One question in MMLU's layout; with its letter where it is an example."""
    rows = "".join(f"\n{letter}. {option}" for letter, option in zip("ABCD", question.choices, strict=True))
    answer = f" {'ABCD'[question.answer]}" if answered else ""
    return f"{question.question}{rows}\nAnswer:{answer}"


def write_hub(folder: Path) -> None:
    """The exam in the layout of the hub set `cais/mmlu`: one folder per subject, parquet, a README with its configs."""
    import pyarrow
    import pyarrow.parquet

    columns = {"question": pyarrow.string(), "subject": pyarrow.string()}
    columns |= {"choices": pyarrow.list_(pyarrow.string()), "answer": pyarrow.int64()}
    configs = ""
    for subject, splits in exam().items():
        (folder / subject).mkdir(parents=True, exist_ok=True)
        configs += f"- config_name: {subject}\n  data_files:\n"
        for split, questions in splits.items():
            rows = [
                {"question": q.question, "subject": subject, "choices": list(q.choices), "answer": q.answer}
                for q in questions
            ]
            name = f"{subject}/{split}-00000-of-00001.parquet"
            table = pyarrow.Table.from_pylist(rows, pyarrow.schema(columns.items()))
            pyarrow.parquet.write_table(table, folder / name)
            configs += f"  - split: {split}\n    path: {name}\n"
    (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n", encoding="utf-8")


if __name__ == "__main__":
    write_hub(FOLDER)
