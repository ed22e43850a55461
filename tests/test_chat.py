"""A chat model is asked through its template or without it, as was said, and the record keeps which."""

import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from unlearnbench import record, registry
from unlearnbench.cli import main
from unlearnbench.errors import UsageError
from unlearnbench.generating import greedy
from unlearnbench.lm_eval_bridge.scorer import SharedPrefixLM
from unlearnbench.model import Model, Rendered
from unlearnbench.retain import RetainText
from unlearnbench.scoring import Asked, score
from unlearnbench.source import locate
from unlearnbench.split import Split
from unlearnbench.task import Examination
from unlearnbench.tasks.general import General

from .own_lm_eval_task import write_own_task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
PROMPT = "Fact: Ann Lee plays the sport of"
ASK = ["--facts", "sports:athletes-16", "--methods", "none", "--tasks", "sports/forget", "--retain_text", "world"]


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
def chat_folder(llama: Model, chat_tokenizer: PreTrainedTokenizerFast, saved: Callable[[Model], Path]) -> Path:
    """A saved model whose tokenizer has a template."""
    return saved(Model(llama.network, chat_tokenizer))


def test_a_prompt_is_a_users_turn_and_has_one_bos(llama: Model, chat_tokenizer: PreTrainedTokenizerFast) -> None:
    model = Model(llama.network, chat_tokenizer, chat=True)
    turn = [{"role": "user", "content": "Fact: Ann Lee plays the sport of"}]
    wanted = chat_tokenizer.apply_chat_template(turn, tokenize=True, add_generation_prompt=True, return_dict=True)

    prompt, answer = model.encode(turn[0]["content"], "football")

    assert prompt == wanted["input_ids"]
    assert prompt.count(chat_tokenizer.bos_token_id) == 1
    assert chat_tokenizer.decode([*prompt, *answer]).endswith("assistant:football")


def test_without_the_template_the_prompt_is_plain(llama: Model, chat_tokenizer: PreTrainedTokenizerFast) -> None:
    plain = Model(llama.network, chat_tokenizer)
    prompt, answer = plain.encode("Ann Lee plays", "football")
    assert chat_tokenizer.decode([*prompt, *answer], skip_special_tokens=True).strip() == "Ann Lee plays football"


def test_whether_the_template_is_used_has_to_be_said(chat_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", "hf", "--model_args", f"pretrained={chat_folder}"]

    assert main(["run", *words, *ASK]) == 2
    shown = capsys.readouterr().err
    assert "has a chat template" in shown
    assert "chat_template=yes or chat_template=no" in shown


@pytest.mark.parametrize("said", ["maybe", "True"])
def test_only_yes_and_no_are_answers(said: str, chat_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", "hf", "--model_args", f"pretrained={chat_folder},chat_template={said}"]

    assert main(["run", *words, *ASK]) == 2
    assert f"chat_template={said} is neither yes nor no" in capsys.readouterr().err


def test_a_template_that_is_not_there_cannot_be_used(saved_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", "hf", "--model_args", f"pretrained={saved_model},chat_template=yes"]

    assert main(["run", *words, *ASK]) == 2
    assert "has no chat template" in capsys.readouterr().err


def test_both_choices_run_are_recorded_and_are_two_different_runs(chat_folder: Path, tmp_path: Path) -> None:
    for said in ("yes", "no"):
        words = ["--model", "hf", "--model_args", f"pretrained={chat_folder},chat_template={said}"]
        assert main(["run", *words, *ASK, "-o", str(tmp_path / "out")]) == 0

    found = {one.spec.model.chat_template: one for _, one in record.records(tmp_path / "out")}
    assert set(found) == {True, False}
    assert found[True].spec.hash != found[False].spec.hash
    assert found[True].samples != found[False].samples


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
    words = ["--model", "hf", "--model_args", f"pretrained={folder}", *ASK, "-o", str(tmp_path / "out")]

    assert main(["run", *words, "--tasks", "sports", "text", "mmlu[data=school,limit=6]"]) == 0

    one = next(one for _, one in record.records(tmp_path / "out"))
    assert one.status == "completed"
    assert {metric.task for metric in one.metrics} >= {"sports/forget", "text", "mmlu"}


# -- what the model gets --------------------------------------------------------------------------------


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


def heard(model: Model, split: Split) -> list[Rendered]:
    """What passes to the model when a task of lm-eval's kind is asked."""
    with model.listening() as found:
        General(task="own_sports").rows(model, Examination(split, 8, RetainText([], []), nullcontext))
    return found


@torch.no_grad()
def log_prob(model: Model, context: list[int], continuation: list[int]) -> float:
    """ln p of the continuation by one plain forward pass."""
    found = model.network(torch.tensor([[*context, *continuation]])).logits[0].double().log_softmax(-1)
    places = range(len(context) - 1, len(context) + len(continuation) - 1)
    return math.fsum(found[place, token].item() for place, token in zip(places, continuation, strict=True))


@pytest.fixture
def included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with one task of lm-eval's kind."""
    folder = tmp_path / "own"
    folder.mkdir()
    write_own_task(folder, "own_sports", names=["Ann Lee", "Bo Rodgers"])
    monkeypatch.setattr(registry, "_included", [folder])
    return folder


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


def test_a_template_without_bos_gets_none(llama: Model, chat_tokenizer: PreTrainedTokenizerFast) -> None:
    chat_tokenizer.chat_template = TEMPLATE.removeprefix("{{ bos_token }}")
    model = Model(llama.network, chat_tokenizer, chat=True)

    prompt, _ = model.encode(PROMPT, "golf")

    assert prompt == in_template(model, PROMPT)
    assert chat_tokenizer.bos_token_id not in prompt


def test_an_answer_is_scored_where_the_models_turn_begins(
    llama: Model, chat_tokenizer: PreTrainedTokenizerFast
) -> None:
    model = Model(llama.network, chat_tokenizer, chat=True)

    (scored,) = score(model, [Asked(PROMPT, ("golf", "ice hockey"))], 8)

    for answer, found in zip(("golf", "ice hockey"), scored.logprobs, strict=True):
        context = in_template(model, PROMPT)
        whole = chat_tokenizer(model.text_of(PROMPT) + answer, add_special_tokens=False).input_ids
        assert whole[: len(context)] == context
        assert found == pytest.approx(log_prob(model, context, whole[len(context) :]), abs=1e-4)


@torch.no_grad()
def test_free_text_is_written_in_the_models_turn(llama: Model, chat_tokenizer: PreTrainedTokenizerFast) -> None:
    model = Model(llama.network, chat_tokenizer, chat=True)
    ids = torch.tensor([in_template(model, PROMPT)])

    (text,) = greedy(model, [PROMPT], 8, 4)

    whole = model.network.generate(ids, do_sample=False, max_new_tokens=8, attention_mask=torch.ones_like(ids))
    assert text == chat_tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
    assert text != greedy(llama, [PROMPT], 8, 4)[0]


def test_lm_evals_tasks_are_asked_in_the_template_too_with_one_bos(
    llama: Model, chat_tokenizer: PreTrainedTokenizerFast, small_split: Split, included: Path
) -> None:
    model = Model(llama.network, chat_tokenizer, chat=True)
    plain = heard(llama, small_split)

    asked = heard(model, small_split)

    assert len(asked) == len(plain) == 6
    for one, bare in zip(asked, plain, strict=True):
        assert one.prompt == model.text_of(bare.prompt)
        assert one.prompt_ids == in_template(model, bare.prompt)
        assert one.prompt_ids.count(chat_tokenizer.bos_token_id) == 1
        assert one.continuation == bare.continuation


# -- no special token at all ----------------------------------------------------------------------------


def test_without_any_special_token_scores_are_those_of_a_forward_pass_of_the_words_alone(model: Model) -> None:
    bare = without_special_tokens(model)
    prompts = [PROMPT, "Ann Lee"]  # of different lengths, so that one is padded

    scored = score(bare, [Asked(prompt, ("golf", "ice hockey")) for prompt in prompts], 8)

    for prompt, one in zip(prompts, scored, strict=True):
        context, continuation = bare.encode(prompt, "golf")
        assert [model.tokenizer.bos_token_id, *context] == model.tokenizer(prompt).input_ids
        assert one.logprobs[0] == pytest.approx(log_prob(bare, context, continuation), abs=1e-4)


@torch.no_grad()
def test_without_an_end_of_text_a_text_has_its_full_length(llama: Model) -> None:
    bare = without_special_tokens(llama)
    prompts = [PROMPT, "Ann Lee"]

    texts = greedy(bare, prompts, 5, 8)

    for prompt, text in zip(prompts, texts, strict=True):
        ids, written = list(bare.tokenizer(prompt).input_ids), list[int]()
        for _ in range(5):
            written.append(int(bare.network(torch.tensor([[*ids, *written]])).logits[0, -1].argmax()))
        assert text == bare.tokenizer.decode(written)


def test_lm_evals_tasks_can_be_asked_without_any_special_token(
    llama: Model, small_split: Split, included: Path
) -> None:
    bare = without_special_tokens(llama)

    asked = heard(bare, small_split)

    assert len(asked) == 6
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
        getattr(lm, ask)([Instance(ask, {}, arguments, 0)])

    assert "bos_token or eos_token" in refused.value.hint


def test_a_prompt_of_which_the_tokenizer_leaves_nothing_is_an_error_that_quotes_it(llama: Model) -> None:
    with pytest.raises(UsageError, match="leaves nothing of prompt ''"):
        without_special_tokens(llama).encode("", "golf")
