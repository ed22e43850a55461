"""Where in a prompt the subject is: there facts are looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact
from unlearnbench.model.reading import encode, framed, framed_tokens

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def subject_tokens(model: Model, fact: Fact) -> range:
    """Positions of the subject's tokens in the prompt, at its last mention.

    Raises `UsageError` where the prompt does not say the subject, or a token holds its end and what follows.
    """
    if fact.subject not in fact.prompt:
        raise UsageError(
            f"fact {fact.id!r}: its subject is not in its prompt {fact.prompt!r}",
            "what looks at the subject's tokens has to find them: write the subject as the prompt does",
        )
    clean = encode(model, fact.prompt, fact.answer)[0]
    whole = framed(model, fact.prompt)
    at = whole.rfind(fact.subject)
    before = framed_tokens(model, whole[:at].rstrip())
    until = framed_tokens(model, whole[: at + len(fact.subject)])
    if clean[: len(until)] != until or len(until) <= len(before):
        raise UsageError(
            f"fact {fact.id!r}: the tokenizer merges the end of its subject with what follows in {fact.prompt!r}",
            "let a space follow the subject",
        )
    return range(min(len(before), len(until) - 1), len(until))
