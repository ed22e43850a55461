"""The form of EasyEdit's counterfact-edit.json, counterfact-train.json and counterfact-val.json.

Its `rephrase_prompt` is one of ROME's paraphrases or, more often, one of ROME's generation prompts.
"""

from unlearnbench.counterfact.form import Form
from unlearnbench.counterfact.record import BLANK, CounterFactRecord
from unlearnbench.counterfact.row import Row
from unlearnbench.errors import UsageError

COLUMNS = (
    "case_id",
    "prompt",
    "subject",
    "ground_truth",
    "target_new",
    "rephrase_prompt",
    "locality_prompt",
    "locality_ground_truth",
)


def _record(row: Row) -> CounterFactRecord:
    template = _template(row.text("prompt"), row.text("subject").strip())
    target = row.text("ground_truth").strip()
    if row.text("locality_ground_truth").strip() != target:
        raise UsageError("field 'locality_ground_truth' is not 'ground_truth', as it is in CounterFact")
    return CounterFactRecord(
        case_id=row.number_at("case_id"),
        relation_id=template,
        subject=row.text("subject").strip(),
        template=template,
        target_true=target,
        target_new=row.text("target_new").strip(),
        paraphrase_prompts=(row.text("rephrase_prompt"),),
        neighborhood_prompts=(row.text("locality_prompt"),),
    )


def _template(prompt: str, subject: str) -> str:
    """A subject that stood there twice would leave open what the template is; in CounterFact none does."""
    if prompt.count(subject) != 1:
        raise UsageError(f"field 'prompt' must hold the subject {subject!r} once: {prompt!r}")
    return prompt.replace(subject, BLANK)


EASYEDIT = Form("EasyEdit's form (counterfact-val.json)", COLUMNS, _record)
