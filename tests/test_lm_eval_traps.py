"""What lm-eval would silently change or get wrong around an edited model, and does not here."""

import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lm_eval.models.huggingface import HFLM
from torch import nn
from transformers import PreTrainedTokenizerFast

from unlearnbench.lm_eval_bridge.evaluating import document_rows, evaluate
from unlearnbench.lm_eval_bridge.frozen import freeze
from unlearnbench.lm_eval_bridge.guard import padding_kept, process_kept, untouched
from unlearnbench.lm_eval_bridge.quiet import quiet
from unlearnbench.lm_eval_bridge.scorer import SharedPrefixLM
from unlearnbench.lm_eval_bridge.tasks import load_tasks
from unlearnbench.model.hooks import intervened
from unlearnbench.model.model import Model

from .own_lm_eval_task import request, write_own_task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")

CONTEXT = "Fact: Ann Lee plays the sport of"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One task of four documents."""
    write_own_task(tmp_path, "own_sports")
    return tmp_path


def _asked(*games: str) -> list[Any]:
    return [request("loglikelihood", (CONTEXT, f" {game}"), i) for i, game in enumerate(games)]


def _values(lm: HFLM, *games: str) -> list[float]:
    return [value for value, _ in lm.loglikelihood(_asked(*(games or ("golf", "ice hockey"))))]


# -- the model ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["qwen2", "gpt2"])
def test_an_edited_head_is_not_tied_again(random_models: Callable[..., Model], family: str) -> None:
    """The configuration still says that it is tied; `HFLM` itself would revert the edit."""
    model = random_models(family)
    head = model.network.get_output_embeddings()
    head.weight = nn.Parameter(head.weight.detach().clone() * 1.5)
    edited = head.weight
    copy = edited.detach().clone()

    lm = SharedPrefixLM(model)
    _values(lm)

    assert model.network.config.tie_word_embeddings is True
    assert head.weight is edited
    assert torch.equal(edited, copy)
    HFLM(model.network, tokenizer=model.tokenizer)
    assert head.weight is not edited  # the trap is still there


def test_a_tied_head_stays_tied_and_can_be_tied_afterwards(random_models: Callable[..., Model]) -> None:
    model = random_models("qwen2")

    SharedPrefixLM(model)

    assert model.network.get_output_embeddings().weight is model.network.get_input_embeddings().weight
    assert "tie_weights" not in vars(model.network)


def test_a_model_in_training_is_asked_in_evaluation_mode_and_trains_on(random_models: Callable[..., Model]) -> None:
    model = random_models("gpt2")
    lm = SharedPrefixLM(model)
    calm = _values(lm)
    model.network.train()
    frozen = model.network.get_submodule("transformer.h.1").eval()

    found = _values(lm)

    assert found == calm  # with dropout they would differ
    assert model.network.training
    assert not any(module.training for module in frozen.modules())


def test_the_model_may_be_made_anything_within_the_guard(llama: Model) -> None:
    llama.network.train()
    with untouched(llama):
        assert not llama.network.training
        llama.network.train()
        llama.network.config.tie_word_embeddings = True
        llama.network.tie_weights()

    assert llama.network.training
    assert llama.network.config.tie_word_embeddings is False
    assert llama.network.get_output_embeddings().weight is not llama.network.get_input_embeddings().weight


def test_the_guard_puts_things_back_after_an_error(llama: Model) -> None:
    llama.network.train()
    before = random.getstate()

    with pytest.raises(ZeroDivisionError), untouched(llama):
        random.seed(0)
        raise ZeroDivisionError

    assert llama.network.training
    assert random.getstate() == before


# -- numbers that would be stale or blurred -------------------------------------------------------------


def test_an_edit_of_one_weight_in_place_is_seen_by_the_next_call(llama: Model, folder: Path) -> None:
    lm, tasks = SharedPrefixLM(llama), load_tasks(["own_sports"], [folder])
    before, results = _values(lm), document_rows(evaluate(lm, tasks))
    with llama.restored():
        with torch.no_grad():
            next(iter(llama.parameters.values())).view(-1)[:].mul_(1.01)
            llama.parameters["model.layers.3.mlp.down_proj.weight"][0, 0] += 1.0
        assert _values(lm) != before
        assert document_rows(evaluate(lm, tasks)) != results

    assert _values(lm) == before
    assert document_rows(evaluate(lm, tasks)) == results


def test_a_forward_hook_is_seen_by_the_next_call(llama: Model) -> None:
    lm = SharedPrefixLM(llama)
    before = _values(lm)

    with intervened(llama, {"model.layers.1.mlp": lambda output: output * 0}):
        assert _values(lm) != before

    assert _values(lm) == before


def test_a_bfloat16_model_does_not_tie(random_models: Callable[..., Model]) -> None:
    """Its logits have 8 bits; a log-softmax in bfloat16 would leave a handful of values for all choices."""
    model = random_models("llama")
    model.network.to(torch.bfloat16)
    contexts = [f"Fact: {name} {verb}" for name in ("Ann", "Bo", "Cy", "Di") for verb in ("plays", "likes", "was at")]
    asked = [request("loglikelihood", (c, f" {g}"), 0) for c in contexts for g in ("golf", "tennis", "football")]

    ours = [value for value, _ in SharedPrefixLM(model).loglikelihood(asked)]

    blurred = HFLM(model.network, tokenizer=model.tokenizer, batch_size=4)
    theirs = [value for value, _ in blurred.loglikelihood(asked, disable_tqdm=True)]
    assert len(set(ours)) > 0.9 * len(asked)
    assert len(set(theirs)) < len(set(ours))


def test_a_changed_tokenizer_is_noticed(llama: Model, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    import copy

    llama.tokenizer = copy.deepcopy(tiny_tokenizer)
    lm = SharedPrefixLM(llama)
    before = _values(lm, "golf")

    llama.tokenizer.backend_tokenizer.post_processor = _no_bos(llama.tokenizer)

    assert _values(lm, "golf") != before
    assert _values(lm, "golf") == pytest.approx(_values(SharedPrefixLM(llama), "golf"))


def _no_bos(tokenizer: PreTrainedTokenizerFast) -> object:
    from tokenizers import processors

    return processors.TemplateProcessing(single="$A", special_tokens=[])


# -- the process ----------------------------------------------------------------------------------------


def test_no_random_stream_is_moved(llama: Model, folder: Path) -> None:
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()  # type: ignore[index]

    evaluate(SharedPrefixLM(llama), load_tasks(["own_sports"], [folder], shots=1))

    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]  # type: ignore[index]
    assert torch.equal(torch.random.get_rng_state(), states[2])


def test_the_tokenizer_gets_a_padding_token_for_the_time_being_only(llama: Model) -> None:
    tokenizer = llama.tokenizer.__class__(tokenizer_object=llama.tokenizer.backend_tokenizer, eos_token="<|end|>")
    bare = llama.tokenizer.__class__(tokenizer_object=llama.tokenizer.backend_tokenizer)
    for kind in (tokenizer, bare):
        kind.pad_token = None
        size = len(kind)
        with padding_kept(kind):
            assert kind.pad_token is not None
            assert len(kind) == size
        assert kind.pad_token is None
        assert kind("Ann").input_ids == llama.tokenizer("Ann").input_ids


def test_construction_and_generation_leave_the_padding_token_unset(llama: Model) -> None:
    import copy

    llama.tokenizer = copy.deepcopy(llama.tokenizer)
    llama.tokenizer.pad_token = None
    arguments = {"until": ["."], "max_gen_toks": 2}

    lm = SharedPrefixLM(llama)
    lm.generate_until([request("generate_until", (text, arguments), 0) for text in ("Ann", CONTEXT)])

    assert llama.tokenizer.pad_token is None


def test_environment_and_logging_are_as_before() -> None:
    log = logging.getLogger("lm_eval")
    level = log.level
    with process_kept():
        os.environ["HF_XET_HIGH_PERFORMANCE_TEST"] = "1"
        log.setLevel(17)
        log.addHandler(logging.NullHandler())

    assert "HF_XET_HIGH_PERFORMANCE_TEST" not in os.environ
    assert log.level == level
    assert not any(isinstance(handler, logging.NullHandler) for handler in log.handlers)


@pytest.mark.slow
def test_importing_sets_no_environment_variable() -> None:
    code = (
        "import os; os.environ.pop('HF_XET_HIGH_PERFORMANCE', None); import torch, transformers, datasets;"
        " before = dict(os.environ); import unlearnbench.lm_eval_bridge.evaluating, unlearnbench.lm_eval_bridge.tasks;"
        " assert dict(os.environ) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)})


def test_nothing_is_printed(llama: Model, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lm = SharedPrefixLM(llama, max_length=8)  # too short for the prompts, of which lm-eval would warn
    capfd.readouterr()

    evaluate(lm, load_tasks(["own_sports"], [folder]))

    assert capfd.readouterr() == ("", "")


def test_progress_bars_come_back_after_silence() -> None:
    import lm_eval.api.task as module

    bar = module.tqdm
    with quiet():
        assert module.tqdm is not bar
        assert module.tqdm([1], disable=False).disable

    assert module.tqdm is bar


# -- requests that are kept -----------------------------------------------------------------------------


def _builds(task: object, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each prompt that the task makes."""
    made: list[int] = []
    original = task.fewshot_context  # type: ignore[attr-defined]

    def counting(*arguments: object, **options: object) -> object:
        made.append(1)
        return original(*arguments, **options)

    monkeypatch.setattr(task, "fewshot_context", counting)
    return made


def test_requests_are_built_once(llama: Model, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lm, tasks = SharedPrefixLM(llama), load_tasks(["own_sports"], [folder])
    made = _builds(tasks["tasks"]["own_sports"], monkeypatch)

    first = evaluate(lm, tasks)
    second = evaluate(lm, tasks)

    assert len(made) == 4
    assert document_rows(first) == document_rows(second)
    assert all(len(sample["resps"][0]) == 1 for sample in second["samples"]["own_sports"])


def test_requests_are_built_anew_when_what_they_are_made_of_changes(
    llama: Model, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, tasks = SharedPrefixLM(llama), load_tasks(["own_sports"], [folder])
    task = tasks["tasks"]["own_sports"]
    prompts = {evaluate(lm, tasks)["samples"]["own_sports"][0]["prompt_hash"]}
    assert len(evaluate(lm, tasks, limit=2)["samples"]["own_sports"]) == 2

    task.set_config("num_fewshot", 1)
    prompts.add(evaluate(lm, tasks)["samples"]["own_sports"][0]["prompt_hash"])
    task.set_config("description", "Sports.\n")
    prompts.add(evaluate(lm, tasks)["samples"]["own_sports"][0]["prompt_hash"])
    for template in ("{% for m in messages %}[{{ m.content }}]{% endfor %}", "{{ messages[-1].content }}!"):
        monkeypatch.setattr(llama.tokenizer, "chat_template", template)
        prompts.add(evaluate(lm, tasks, chat_template=True)["samples"]["own_sports"][0]["prompt_hash"])
    task.dataset = {"test": task.dataset["test"].select([1, 2])}
    found = evaluate(lm, tasks)["samples"]["own_sports"]

    assert len(prompts) == 5
    assert len(found) == 2


def test_earlier_results_are_not_rewritten_by_later_calls(llama: Model, folder: Path) -> None:
    lm, tasks = SharedPrefixLM(llama), load_tasks(["own_sports"], [folder])
    first = evaluate(lm, tasks)
    before = document_rows(first)

    with intervened(llama, {"model.layers.1.mlp": lambda output: output * 0}):
        evaluate(lm, tasks)

    assert document_rows(first) == before


def test_freezing_twice_is_freezing_once(folder: Path) -> None:
    tasks = load_tasks(["own_sports"], [folder])["tasks"].values()

    freeze(tasks)
    (kept,) = (task.build_all_requests for task in tasks)
    freeze(tasks)

    assert [task.build_all_requests for task in tasks] == [kept]
