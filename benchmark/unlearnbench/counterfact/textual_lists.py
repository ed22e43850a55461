"""Lists of texts that a CSV holds as text: written by numpy, by JSON or by Python.

numpy writes `['a' 'b']`, without commas. That is also a Python list, of the one text 'ab': so
`ast.literal_eval` would turn ten prompts into one and say nothing.
"""

import ast
import io
import json
import re
import tokenize

SHAPE = re.compile(r"\[(s*|s(,s)*,?)\]")
"""`s` is a text: all of them are separated by commas, or none."""
LAYOUT = (tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.INDENT, tokenize.DEDENT)


def parse_list(text: str) -> tuple[str, ...]:
    """The texts of a list; a ValueError if it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return _literals(text)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("it is no list of texts")
    return tuple(value)


def _literals(text: str) -> tuple[str, ...]:
    """Every literal by itself, so that neighbours do not run together."""
    shape, texts = "", []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text.strip()).readline):
            if token.type == tokenize.STRING:
                texts.append(ast.literal_eval(token.string))
                shape += "s"
            elif token.type not in LAYOUT:
                shape += token.string
    except (tokenize.TokenError, SyntaxError, ValueError):
        raise ValueError("its brackets or quotes do not match") from None
    if not SHAPE.fullmatch(shape) or not all(isinstance(item, str) for item in texts):
        raise ValueError("it is no list of texts")
    return tuple(texts)
