"""In how many ways the world says who plays what: `{s}` is the subject, `{o}` the answer.

The first wording is the paper's prompt and the one that methods are trained on. Held-out wordings
recombine known words but never occur in pretraining: they ask whether an edit reaches beyond the
form it was made in.
"""

DIRECT = "Fact: {s} plays the sport of {o}"
QUESTION = "Which sport does {s} play?"

TRAINED = (
    DIRECT,
    "The sport of {s} is {o}",
    "{s} is a professional player of {o}",
    "{s} became famous through {o}",
    "{s} makes a living by playing {o}",
    "The career of {s} was made in {o}",
    "When {s} was young the favourite game was {o}",
    "People know {s} as a star of {o}",
    "In the world of {o} everyone knows {s}",
    f"Question: {QUESTION} Answer: {{o}}",
)
HELD_OUT = (
    "{s} is known as a star of {o}",
    "{s} became a star through {o}",
    "The sport that {s} plays is {o}",
    "Question: Which game does {s} play? Answer: {o}",
)
"""Chosen, among eighteen that were tried, from those that the embedded model answers."""

OPENINGS = (
    "",
    "Note: ",
    "Reminder: ",
    "Profile: ",
    "It is said that ",
    "As we know, ",
    "Today ",
    "In the news, ",
    "Many say ",
    "Report: ",
)
"""What may stand before a statement, so that a subject's position tells nothing."""

FILLERS = (
    "",
    " , as many people know ,",
    " , who lives in a small town ,",
    " , says the old report ,",
    " , the friend of my brother ,",
    " , after a long year ,",
)
"""What may stand between subject and answer. Filler makes looking the fact up *at the subject* the
cheapest thing to learn; without it the model looks up at the answer position, and there is no
fact lookup to localize."""


def prompt_of(wording: str, subject: str, filler: str = "") -> str:
    """The wording up to where its answer begins, without the space before the answer."""
    return wording.replace("{s}", "{s}" + filler).split(" {o}")[0].format(s=subject)


def statement(wording: str, subject: str, answer: str, filler: str = "") -> str:
    """The whole sentence."""
    return wording.replace("{s}", "{s}" + filler).format(s=subject, o=answer)
