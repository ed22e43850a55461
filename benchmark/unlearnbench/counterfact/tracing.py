"""The form of NeelNanda/counterfact-tracing on the hub, whose rows are the cases in their order.

In four of five rows `relation_prefix` is empty and `relation_suffix` is the whole template, so that
prefix + subject + suffix is not the prompt. `relation` is always the template, and is what is read.
"""

from unlearnbench.counterfact.form import Form
from unlearnbench.counterfact.record import CounterFactRecord
from unlearnbench.counterfact.row import Row
from unlearnbench.errors import UsageError

COLUMNS = ("relation", "prompt", "relation_id", "target_true", "target_false", "subject")


def _record(row: Row) -> CounterFactRecord:
    record = CounterFactRecord(
        case_id=row.number - 1,
        relation_id=row.text("relation_id"),
        subject=row.text("subject").strip(),
        template=row.text("relation"),
        target_true=row.text("target_true").strip(),
        target_new=row.text("target_false").strip(),
    )
    if record.prompt != row.text("prompt"):
        raise UsageError(f"field 'prompt' is not 'relation' with the subject in it, {record.prompt!r}")
    return record


TRACING = Form("the form of counterfact-tracing", COLUMNS, _record)
