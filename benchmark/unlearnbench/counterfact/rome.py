"""The form of ROME's own counterfact.json, and of azhx/counterfact on the hub."""

from unlearnbench.counterfact.form import Form
from unlearnbench.counterfact.record import CounterFactRecord
from unlearnbench.counterfact.row import Row

LISTS = ("paraphrase_prompts", "neighborhood_prompts", "attribute_prompts", "generation_prompts")


def _record(row: Row) -> CounterFactRecord:
    rewrite = row.row("requested_rewrite")
    paraphrases, neighborhood, attribute, generation = map(row.texts, LISTS)
    return CounterFactRecord(
        case_id=row.number_at("case_id"),
        relation_id=rewrite.text("relation_id"),
        subject=rewrite.text("subject").strip(),
        template=rewrite.text("prompt"),
        target_true=rewrite.row("target_true").text("str").strip(),
        target_new=rewrite.row("target_new").text("str").strip(),
        paraphrase_prompts=paraphrases,
        neighborhood_prompts=neighborhood,
        attribute_prompts=attribute,
        generation_prompts=tuple(dict.fromkeys(generation)),
    )


ROME = Form("ROME's form (counterfact.json)", ("case_id", "requested_rewrite", *LISTS), _record)
