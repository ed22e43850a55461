"""What of a record a board shows in words, and what such words may be."""

from __future__ import annotations

import re
from collections.abc import Iterator

from unlearnbench.records.record import Record

SHOWN = re.compile(r"[A-Za-z0-9 ._:/@=,+*()\[\]-]{1,160}")
"""Enough for every name and setting; no markup, and nothing that a reader's program would take for an address."""
ADDRESS = re.compile(r"://|www\.", re.IGNORECASE)
SAID_AT_MOST, WARNINGS_AT_MOST = 600, 40
LARGEST = 1e100
"""No number of a record is near it, and sums of such numbers do not overflow."""


def unshown(record: Record) -> str | None:
    """The first thing that cannot be shown as it is, or is missing; None where all can."""
    spec = record.spec
    texts = {
        "label": record.label,
        "method": spec.method.name,
        "model": spec.model.name,
        "facts": spec.facts.label,
        "retain text": spec.model.retain_text,
        **{f"setting {key[:40]!r}": f"{key}={value}" for key, value in spec.facts.settings.items()},
        **{f"task {number}": one.spec.name for number, one in enumerate(record.tasks)},
    }
    for what, text in texts.items():
        if not SHOWN.fullmatch(text) or ADDRESS.search(text):
            return f"the {what} {text[:60]!r} is no name that a board shows"
    if record.label != spec.method.name and not record.label.startswith(f"{spec.method.name}["):
        return f"its label {record.label!r} is not that of {spec.method.name}"
    if not record.sessions:
        return "it was never run: there is no session"
    if any(one.samples.n < 0 or one.samples.bytes_uncompressed < 0 for one in record.tasks):
        return "an item log of less than nothing"
    said = [*record.warnings, *([record.invalid_reason] if record.invalid_reason else [])]
    if len(said) > WARNINGS_AT_MOST or any(len(one) > SAID_AT_MOST or ADDRESS.search(one) for one in said):
        return "a warning, or the reason why it is invalid, that no release writes"
    if any(not abs(number) <= LARGEST for number in _numbers(record)):
        return f"a number beyond {LARGEST:g}"
    return None


def _numbers(record: Record) -> Iterator[float]:
    """All that a board takes means of."""
    for metric in (metric for one in record.tasks for metric in one.metrics):
        yield from (metric.value, metric.stderr or 0.0, *(metric.interval or ()))
        yield from (value for value in metric.at.values() if isinstance(value, (int, float)))
    yield record.localization.share_of_blocks or 0.0
    for session in record.sessions:
        yield from session.resources.stages_s.values()
