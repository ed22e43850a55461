"""A chat model is asked through its template or without it, as was said, and the record keeps which."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from unlearnbench.asking.items import Item
from unlearnbench.cli import main
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Split
from unlearnbench.lm_eval_bridge.scorer import SharedPrefixLM
from unlearnbench.model.generating import continued
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode, framed, prompt_tokens
from unlearnbench.model.scoring import Asked, score
from unlearnbench.model.source import locate
from unlearnbench.model.subject import subject_tokens
from unlearnbench.records import store
from unlearnbench.tasks.general import General

from .own_lm_eval_task import request, write_own_task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
PROMPT = "Fact: Ann Lee plays the sport of"
ASK = ["--facts", "sports:athletes-16[known=0]", "--methods", "none", "--retain_text", "world"]


@pytest.fixture
def chat_tokenizer(tiny_tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The tokenizer with a template that writes its own BOS."""
    copy: PreTrainedTokenizerFast = PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer.backend_tokenizer,
        bos_token=tiny_tokenizer.bos_token,
        eos_token=tiny_tokenizer.eos_token,
        pad_token=tiny_tokenizer.pad_token,
    )
    copy.chat_template = TEMPLATE
    return copy


@pytest.fixture
def chat_model(llama: Model, chat_tokenizer: PreTrainedTokenizerFast) -> Model:
    """A random model that is asked through its template."""
    return Model(llama.network, chat_tokenizer, chat=True)


@pytest.fixture
def chat_folder(llama: Model, chat_tokenizer: PreTrainedTokenizerFast, saved: Callable[[Model], Path]) -> Path:
    """A saved model whose tokenizer has a template."""
    return saved(Model(llama.network, chat_tokenizer))


def order(folder: Path, said: str, *words: str) -> int:
    """`run` on a saved model; the exit code."""
    given = f"pretrained={folder}{said}"
    return main(["run", "--model", "hf", "--model_args", given, *ASK, *(words or ("--tasks", "sports/forget"))])


def in_template(model: Model, prompt: str) -> list[int]:
    """The tokens of a user's turn, as the library itself makes them."""
    turn = [{"role": "user", "content": prompt}]
    return list(model.tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False))


def without_special_tokens(model: Model) -> Model:
    """The same network with a tokenizer that knows no BOS, no end of text and no padding."""
    raw = Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
    raw.post_processor = TemplateProcessing(single="$A")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (None, None, None)
    return Model(model.network, tokenizer)


@torch.no_grad()
def log_prob(model: Model, context: list[int], continuation: list[int]) -> float:
    """ln p of the continuation by one plain forward pass."""
    found = model.network(torch.tensor([[*context, *continuation]])).logits[0].double().log_softmax(-1)
    places = range(len(context) - 1, len(context) + len(continuation) - 1)
    return math.fsum(found[place, token].item() for place, token in zip(places, continuation, strict=True))


# -- what is said --------------------------------------------------------------------------------------


def test_whether_the_template_is_used_has_to_be_said(chat_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert order(chat_folder, "") == 2
    shown = capsys.readouterr().err
    assert "has a chat template" in shown
    assert "chat_template=yes or chat_template=no" in shown


@pytest.mark.parametrize("said", ["maybe", "True"])
def test_only_yes_and_no_are_answers(said: str, chat_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert order(chat_folder, f",chat_template={said}") == 2
    assert f"chat_template={said} is neither yes nor no" in capsys.readouterr().err


def test_a_template_that_is_not_there_cannot_be_used(saved_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert order(saved_model, ",chat_template=yes") == 2
    assert "has no chat template" in capsys.readouterr().err


def test_a_template_within_the_tokenizers_configuration_has_to_be_answered_for_too(saved_model: Path) -> None:
    path = saved_model / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "chat_template": TEMPLATE}), "utf-8")

    with pytest.raises(UsageError, match="has a chat template"):
        locate("hf", {"pretrained": str(saved_model)}, "world")
    said = {"pretrained": str(saved_model), "chat_template": "yes"}
    assert locate("hf", said, "world").source.chat_template is True


def test_a_changed_template_is_another_tokenizer(chat_folder: Path) -> None:
    words = {"pretrained": str(chat_folder), "chat_template": "yes"}
    before = locate("hf", words, "world").source
    path = chat_folder / "chat_template.jinja"
    path.write_text(path.read_text("utf-8").replace("assistant:", "Assistant:"), "utf-8")

    after = locate("hf", words, "world").source

    assert after.tokenizer_sha256 != before.tokenizer_sha256
    assert after.weights_sha256 == before.weights_sha256


@pytest.mark.end_to_end
def test_both_choices_run_are_recorded_and_are_two_different_runs(chat_folder: Path, tmp_path: Path) -> None:
    words = ["--tasks", "sports/questions,sports/generation,mmlu[data=school,limit=6]", "-o", str(tmp_path / "out")]
    for said in ("yes", "no"):
        steps = ["--methods", "none,full_finetune", "--method_args", "steps=2"]
        assert order(chat_folder, f",chat_template={said}", *words, *steps) == 0

    records = [one for _, one in store.records(tmp_path / "out")]
    assert len(records) == 4
    found = {one.spec.model.chat_template: one for one in records if one.spec.method.name == "none"}
    for mine, theirs in zip(found[True].tasks, found[False].tasks, strict=True):
        assert mine.samples.sha256_uncompressed != theirs.samples.sha256_uncompressed


# -- what the model gets --------------------------------------------------------------------------------


def test_a_prompt_is_a_users_turn_and_has_one_bos(chat_model: Model) -> None:
    prompt, answer = encode(chat_model, PROMPT, "football")

    assert prompt == in_template(chat_model, PROMPT)
    assert prompt.count(chat_model.tokenizer.bos_token_id) == 1
    assert chat_model.tokenizer.decode([*prompt, *answer]).endswith("assistant:football")


def test_a_template_without_bos_gets_none(chat_model: Model) -> None:
    chat_model.tokenizer.chat_template = TEMPLATE.removeprefix("{{ bos_token }}")

    prompt, _ = encode(chat_model, PROMPT, "golf")

    assert prompt == in_template(chat_model, PROMPT)
    assert chat_model.tokenizer.bos_token_id not in prompt


def test_an_answer_is_scored_where_the_models_turn_begins(chat_model: Model) -> None:
    (scored,) = score(chat_model, [Asked(PROMPT, ("golf", "ice hockey"))], 8)

    for answer, found in zip(("golf", "ice hockey"), scored.logprobs, strict=True):
        context = in_template(chat_model, PROMPT)
        whole = chat_model.tokenizer(framed(chat_model, PROMPT) + answer, add_special_tokens=False).input_ids
        assert whole[: len(context)] == context
        assert found == pytest.approx(log_prob(chat_model, context, whole[len(context) :]), abs=1e-4)


def test_the_subject_is_found_within_the_template(chat_model: Model, llama: Model) -> None:
    fact = Fact("Ann Lee", "sport", PROMPT, "golf", ("football",))

    plain, chat = subject_tokens(llama, fact), subject_tokens(chat_model, fact)

    assert (
        encode(llama, PROMPT, "golf")[0][plain.start : plain.stop]
        == (in_template(chat_model, PROMPT)[chat.start : chat.stop])
    )
    assert chat.start > plain.start


@torch.no_grad()
def test_free_text_is_written_in_the_models_turn(chat_model: Model) -> None:
    ids = torch.tensor([in_template(chat_model, PROMPT)])

    (text,) = continued(chat_model, [prompt_tokens(chat_model, PROMPT)], 8, 4)

    whole = chat_model.network.generate(ids, do_sample=False, max_new_tokens=8, attention_mask=torch.ones_like(ids))
    assert text == whole[0, ids.shape[1] :].tolist()


def own_items(folder: Path, model: Model, split: Split) -> list[Item]:
    """What is asked in a task of lm-eval's kind."""
    write_own_task(folder, "own_sports", names=["Ann Lee", "Bo Rodgers"])
    return General(task="own_sports", folder=folder).items(model, split, 2)


def test_lm_evals_tasks_are_asked_in_the_template_too_with_one_bos(
    llama: Model, chat_model: Model, small_split: Split, tmp_path: Path
) -> None:
    plain, asked = (own_items(tmp_path, model, small_split) for model in (llama, chat_model))

    assert len(asked) == len(plain) == 2
    for one, bare in zip(asked, plain, strict=True):
        assert one.prompt == framed(chat_model, bare.prompt)
        assert one.prompt_ids == in_template(chat_model, bare.prompt)
        assert [choice.strip() for choice in one.choices] == [choice.strip() for choice in bare.choices]


# -- no special token at all ----------------------------------------------------------------------------


@pytest.mark.end_to_end
@pytest.mark.parametrize("missing", ["bos", "pad"])
def test_a_tokenizer_without_bos_or_without_padding_is_asked_all_the_same(
    missing: str, llama: Model, saved: Callable[[Model], Path], tmp_path: Path
) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(saved(llama))
    if missing == "bos":
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A")
        tokenizer.bos_token = None
    else:
        tokenizer.pad_token = None
    folder = saved(Model(llama.network, tokenizer))

    words = ["--tasks", "sports/questions,sports/generation,sports/fluency,mmlu[data=school,limit=6]"]
    assert order(folder, "", *words, "-o", str(tmp_path / "out")) == 0

    ((_, one),) = store.records(tmp_path / "out")
    assert one.status == "completed"
    assert {task.spec.name for task in one.tasks} >= {"sports/forget", "sports/generation", "mmlu"}


def test_without_any_special_token_scores_are_those_of_a_forward_pass_of_the_words_alone(model: Model) -> None:
    bare = without_special_tokens(model)
    prompts = [PROMPT, "Ann Lee"]  # of different lengths, so that one is padded

    scored = score(bare, [Asked(prompt, ("golf", "ice hockey")) for prompt in prompts], 8)

    for prompt, one in zip(prompts, scored, strict=True):
        context, continuation = encode(bare, prompt, "golf")
        assert [model.tokenizer.bos_token_id, *context] == model.tokenizer(prompt).input_ids
        assert one.logprobs[0] == pytest.approx(log_prob(bare, context, continuation), abs=1e-4)


def test_lm_evals_tasks_can_be_asked_without_any_special_token(
    llama: Model, small_split: Split, tmp_path: Path
) -> None:
    bare = without_special_tokens(llama)

    asked = own_items(tmp_path, bare, small_split)

    assert len(asked) == 2
    assert all(one.prompt_ids == bare.tokenizer(one.prompt).input_ids for one in asked)
    assert (bare.tokenizer.bos_token, bare.tokenizer.eos_token, bare.tokenizer.pad_token) == (None, None, None)


@pytest.mark.parametrize(
    ("ask", "arguments"),
    [
        ("loglikelihood_rolling", ("Ann Lee runs",)),
        ("loglikelihood", ("", "Ann Lee runs")),
        ("generate_until", ("Ann Lee", {"until": ["."], "max_gen_toks": 3})),
    ],
)
def test_what_lm_eval_cannot_ask_without_a_token_to_begin_with_is_one_clear_error(
    ask: str, arguments: tuple[Any, ...], llama: Model
) -> None:
    lm = SharedPrefixLM(without_special_tokens(llama))

    with pytest.raises(UsageError, match="neither a beginning-of-text nor an end-of-text token") as refused:
        getattr(lm, ask)([request(ask, arguments, 0)])

    assert "bos_token or eos_token" in refused.value.hint


def test_a_template_that_tells_the_date_always_tells_the_same(
    chat_model: Model, small_split: Split, tmp_path: Path
) -> None:
    template = "{{ bos_token }}Today is {{ strftime_now('%d %b %Y %H:%M:%S') }}. " + TEMPLATE.removeprefix(
        "{{ bos_token }}"
    )
    chat_model.tokenizer.chat_template = template

    assert framed(chat_model, PROMPT).startswith("<|end|>Today is 26 Jul 2024. ")
    assert all("Today is 26 Jul 2024. " in one.prompt for one in own_items(tmp_path, chat_model, small_split))
    assert chat_model.tokenizer.chat_template == template
