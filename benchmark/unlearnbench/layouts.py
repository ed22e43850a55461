"""How a multiple-choice question is laid out as text, and what its labels are."""

from collections.abc import Sequence

LETTERS = "ABCDEFGH"


def labels(layout: str, count: int) -> tuple[str, ...]:
    """The texts that answer a question in this layout, without the space before them."""
    return tuple(f"{letter}." if layout == "inline" else letter for letter in LETTERS[:count])


def options_block(options: Sequence[str], marks: Sequence[str]) -> str:
    """Labelled options in one line: each label stands right before its option."""
    return "Options:" + "".join(f" {mark} {option}" for mark, option in zip(marks, options, strict=True))


def multiple_choice(question: str, options: Sequence[str], layout: str) -> str:
    """The prompt, ending where the label begins (without the space before it).

    `inline` is the form organisms are taught (a label and its option are neighbouring tokens);
    `lines` is the form that large models know from MMLU.
    """
    if layout == "inline":
        marks = labels(layout, len(options))
        return f"{options_block(options, marks)} Question: {question} Answer:"
    if layout == "lines":
        rows = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
        return f"{question}\n{rows}\nAnswer:"
    raise ValueError(f"layout must be 'inline' or 'lines', not {layout!r}")
