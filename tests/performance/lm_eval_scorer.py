"""How fast are lm-eval's tasks answered, beside lm-eval's own `HFLM`? `python tests/performance/lm_eval_scorer.py`

1,000 requests with answers of one token (334 prompts, 3 choices each) are put to a random GPT-2 of two blocks
of width 64, with a large vocabulary and a small one, in one process and one thread, each way in turn. Only the
ratios are worth quoting: absolute times depend on the machine.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from unlearnbench.lm_eval_bridge.evaluating import document_rows, evaluate
from unlearnbench.lm_eval_bridge.quiet import quiet
from unlearnbench.lm_eval_bridge.scorer import SharedPrefixLM
from unlearnbench.lm_eval_bridge.tasks import load_tasks
from unlearnbench.model.model import Model
from unlearnbench.model.reading import logits_at
from unlearnbench.running.threads import using_threads

ROUNDS, BATCH, PROMPTS = 5, 64, 334
THEIRS, DIRECT = "simple_evaluate + HFLM", "one direct forward pass"
CHOICES = ("baseball", "basketball", "football")
WORDS = [*CHOICES, *"Fact : plays the sport of . In everyone knows that player number".split()]


def prompt(i: int) -> str:
    """A sentence of 14 to 20 words."""
    return f"In number {i} everyone knows that {'the sport ' * (i % 4)}player number {i} plays the sport of"


TASK = """
task: sports
custom_dataset: !function data.load
test_split: test
output_type: multiple_choice
doc_to_text: "{{prompt}}"
doc_to_choice: [baseball, basketball, football]
doc_to_target: label
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""
DATA = f"""
import datasets

def load(**_):
    prompts = {[prompt(i) for i in range(PROMPTS)]!r}
    return {{"test": datasets.Dataset.from_list([{{"prompt": p, "label": i % 3}} for i, p in enumerate(prompts)])}}
"""


def random_model(vocabulary: int) -> Model:
    """Its tokenizer knows one token per word, and numbers to fill the vocabulary."""
    words = {word: i for i, word in enumerate([*dict.fromkeys(WORDS), *map(str, range(PROMPTS)), "<unk>"])}
    raw = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", eos_token="<unk>", bos_token="<unk>")
    torch.manual_seed(0)
    sizes = {"vocab_size": vocabulary, "n_embd": 64, "n_layer": 2, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
    return Model(GPT2LMHeadModel(GPT2Config(**sizes)), tokenizer)


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def directly(model: Model, prompts: list[list[int]]) -> None:
    """The least that must be done: one batched forward pass over tokens that are there already."""
    with torch.no_grad():
        for begin in range(0, len(prompts), BATCH):
            batch = prompts[begin : begin + BATCH]
            logits_at(model, batch, list(range(len(batch))), [len(ids) - 1 for ids in batch]).log_softmax(-1)


def answers(results: Mapping[str, Any]) -> list[float]:
    """All log-likelihoods, in order."""
    return [value for row in document_rows(results)["sports"] for value, _ in row.answers]


def ways(model: Model, folder: Path) -> dict[str, Callable[[], Any]]:
    """What is compared: each a whole evaluation."""
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    theirs = HFLM(pretrained=model.network, tokenizer=model.tokenizer, batch_size=BATCH, softmax_dtype="float32")
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    loaded, frozen, kept = load_tasks(["sports"], [folder]), load_tasks(["sports"], [folder]), SharedPrefixLM(model)

    def simply() -> Any:
        return evaluator.simple_evaluate(model=theirs, tasks=["sports"], task_manager=manager, bootstrap_iters=0)

    def preloaded() -> Any:
        return evaluator.evaluate(theirs, dict(loaded), bootstrap_iters=0)

    def cold() -> Any:
        return evaluate(SharedPrefixLM(model, BATCH), load_tasks(["sports"], [folder]))

    def again() -> Any:
        return evaluate(kept, frozen)

    return {
        THEIRS: simply,
        "evaluate + HFLM, tasks loaded": preloaded,
        "ours, from nothing": cold,
        "ours, requests kept": again,
    }


def compare() -> list[dict[str, Any]]:
    """On one thread, as small models run."""
    with using_threads(1):
        return _compared()


def _compared() -> list[dict[str, Any]]:
    """By vocabulary and way: median seconds, how they compare, and the largest difference of an answer."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sports.yaml").write_text(TASK)
        (folder / "data.py").write_text(DATA)
        for vocabulary in (50_304, 1_500):
            model = random_model(vocabulary)
            with quiet():
                compared = ways(model, folder)
                found = {way: answers(work()) for way, work in compared.items()}
                prompts = [list(model.tokenizer(prompt(i)).input_ids) for i in range(PROMPTS)]
                compared[DIRECT] = lambda m=model, p=prompts: directly(m, p)  # type: ignore[misc]
                seconds: dict[str, list[float]] = {way: [] for way in compared}
                for _ in range(ROUNDS):
                    for way, work in compared.items():
                        seconds[way].append(timed(work))
            for way, mine in seconds.items():
                gap = max((abs(a - b) for a, b in zip(found.get(way, []), found[THEIRS], strict=False)), default=None)
                lines.append(
                    {
                        "vocabulary": vocabulary,
                        "way": way,
                        "seconds": statistics.median(mine),
                        "simple_evaluate": statistics.median(a / b for a, b in zip(seconds[THEIRS], mine, strict=True)),
                        "direct": statistics.median(b / a for a, b in zip(seconds[DIRECT], mine, strict=True)),
                        "largest gap, nats": gap,
                    }
                )
    return lines


if __name__ == "__main__":
    print(tabulate(compare(), headers="keys", floatfmt=("d", "", ".3f", ".1f", ".1f", ".1e")))
