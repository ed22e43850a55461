"""Whether a text says an answer."""

import re


def stands_in(text: str, answer: str) -> bool:
    """Whether the answer stands in the text as words of its own, whatever its case."""
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text, re.IGNORECASE) is not None
