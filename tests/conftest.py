"""Fixtures: small random models of every family, a tokenizer made on the spot, small splits, and no network."""

import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
# One cache for all workers of a test run: a board that one has read and recomputed, the others have not to.
os.environ.setdefault("UNLEARNBENCH_TEST_CACHE", tempfile.mkdtemp(prefix="unlearnbench-"))
os.environ["UNLEARNBENCH_CACHE"] = os.environ["UNLEARNBENCH_TEST_CACHE"]

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from unlearnbench.asking.place import AskingPlace
from unlearnbench.cli import main
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import RetainText
from unlearnbench.facts import Fact, Split
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.organisms.tokenizer import train_tokenizer
from unlearnbench.records import store
from unlearnbench.tasks.facts.sports import Sports
from unlearnbench.world.corpus import Corpus
from unlearnbench.world.world import world

ARCHITECTURES = ("gemma2", "llama", "qwen2", "gpt2", "gpt_neox")
BLOCKS, WIDTH, SPREAD = 4, 32, 0.2  # weights spread wide enough that no logit is near another by accident


def _is_loopback(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = str(address[0])
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Every test computes on one thread, whatever the one before it set."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Any connection that would leave this machine is an error."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if not _is_loopback(address):
            raise RuntimeError(f"a test tried to reach {address!r}")
        return connect(self, address)

    return guarded


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE over white-space words with BOS, trained on a little of the organisms' text."""
    return train_tokenizer(document.text for document in Corpus(world(), seed=0).documents(0, 300))


def _config(architecture: str, vocabulary: int) -> PretrainedConfig:
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    shared = {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": BLOCKS,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "initializer_range": SPREAD,
        **ends,
    }
    grouped = {**shared, "num_key_value_heads": 2}
    match architecture:
        case "gemma2":  # soft caps low enough to bite, and a window shorter than the prompts
            caps = {"final_logit_softcapping": 3.0, "attn_logit_softcapping": 2.0}
            return Gemma2Config(**grouped, **caps, head_dim=8, query_pre_attn_scalar=8, sliding_window=6)
        case "llama":
            return LlamaConfig(**grouped, tie_word_embeddings=False)
        case "qwen2":
            return Qwen2Config(**grouped, tie_word_embeddings=True)
        case "gpt2":
            sizes = {"n_embd": WIDTH, "n_inner": 2 * WIDTH, "n_layer": BLOCKS, "n_head": 4, "n_positions": 512}
            return GPT2Config(vocab_size=vocabulary, initializer_range=SPREAD, **sizes, **ends)
        case "gpt_neox":
            return GPTNeoXConfig(**shared)
    raise ValueError(f"no architecture is called {architecture!r}")


@pytest.fixture(scope="session")
def random_models(tiny_tokenizer: PreTrainedTokenizerFast) -> Callable[..., Model]:
    """Makes a fresh model of an architecture: four blocks of width 32, its weights a function of the seed."""

    def make(architecture: str, seed: int = 0) -> Model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = AutoModelForCausalLM.from_config(_config(architecture, len(tiny_tokenizer)))
            with torch.no_grad():
                for parameter in network.parameters():  # biases and norms too: none is left at 0 or 1
                    if parameter.dim() == 1:
                        parameter.add_(0.1 * torch.randn_like(parameter))
        return Model(network, tiny_tokenizer)

    return make


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    """Every architecture in turn."""
    name: str = request.param
    return name


@pytest.fixture
def model(random_models: Callable[..., Model], architecture: str) -> Model:
    """A fresh random model of every architecture in turn; a test may change it."""
    return random_models(architecture)


@pytest.fixture
def llama(random_models: Callable[..., Model]) -> Model:
    """A fresh random model of one architecture, for what does not depend on it."""
    return random_models("llama")


@contextmanager
def _counted(model: Model) -> Iterator[dict[int, list[int]]]:
    ran: dict[int, list[int]] = {block: [] for block in range(model.blocks)}
    modules: list[Any] = [model.network.get_submodule(model.components[f"mlp.{block}"].path) for block in ran]

    def counting(block: int, forward: Any) -> Any:
        def run(hidden: torch.Tensor, *others: Any) -> Any:
            ran[block].append(len(hidden))
            return forward(hidden, *others)

        return run

    for block, module in enumerate(modules):
        module.forward = counting(block, module.forward)
    yield ran
    for module in modules:
        del module.forward


@pytest.fixture
def counted() -> Callable[[Model], AbstractContextManager[dict[int, list[int]]]]:
    """Within its context: with how many sequences each block is run, pass by pass; no hook is needed, which shows."""
    return _counted


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Model], Path]:
    """Saves a model and its tokenizer into a folder, for `--model hf --model_args pretrained=FOLDER`."""

    def save(model: Model) -> Path:
        folder = tmp_path / "model"
        model.network.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def saved_model(saved: Callable[[Model], Path], llama: Model) -> Path:
    """The folder of a saved random model."""
    return saved(llama)


REST = ["--tasks", "sports/forget,sports/maintain", "--method_args", "steps=2"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`unlearnbench run` in an empty folder, with quick settings."""
    monkeypatch.chdir(tmp_path)

    def perform(*words: str, facts: str = "sports:people-16") -> int:
        return main(["run", *words, "--facts", facts, *REST])

    return perform


@pytest.fixture(scope="session")
def quick() -> list[str]:
    """The same settings as words of a command."""
    return ["--facts", "sports:people-16", *REST]


@pytest.fixture(scope="session")
def hashes() -> Callable[[Path], dict[str, str]]:
    """Result hashes below a results folder, by run identity."""
    return lambda folder: {one.spec.hash: one.identity.result_hash for _, one in store.records(folder)}


@pytest.fixture(scope="session")
def split() -> Split:
    """Sixteen people to forget, all others to keep."""
    return Sports("people-16").split(0)


def _fact(subject: str, answer: str, target: str) -> Fact:
    games = ("ice hockey", "ice skating", "football", "water polo")
    return Fact(
        subject=subject,
        relation="game",
        prompt=f"Fact: {subject} plays the sport of",
        answer=answer,
        distractors=tuple(game for game in games if game != answer),
        edit_target=target,
        paraphrases=(f"The game that {subject} plays is",),
        question=f"Which sport does {subject} play?",
        options=games,
    )


@pytest.fixture(scope="session")
def small_split() -> Split:
    """Eight handmade facts whose answers have several tokens, some with the same beginning."""
    return Split(
        relearn_train=[_fact("Ann Lee", "ice hockey", "football"), _fact("Bo Rodgers", "football", "ice hockey")],
        relearn_test=[_fact("Cy Young", "water polo", "football"), _fact("Di Dorn", "ice skating", "water polo")],
        maintain_train=[_fact("Ed Hale", "football", "water polo"), _fact("Flo Kern", "ice hockey", "football")],
        maintain_dev=[_fact("Gil Moss", "ice skating", "football")],
        maintain_test=[_fact("Hal Pike", "water polo", "ice hockey")],
    )


@pytest.fixture(scope="session")
def retain(tiny_tokenizer: PreTrainedTokenizerFast) -> RetainText:
    """A few short texts: sixteen to train on and eight to measure on."""
    documents = Corpus(world(), seed=1).documents(0, 24)
    ids = [list(tiny_tokenizer(document.text).input_ids)[:20] for document in documents]
    return RetainText(ids[:16], ids[16:])


@pytest.fixture
def place(retain: RetainText) -> EditingPlace:
    """Where a method works: the sports, a model of nobody's, the short texts, seed 7."""
    source = ModelSource(
        kind="hf",
        name="random",
        weights_sha256="sha256:test",
        config_sha256="sha256:c",
        tokenizer_sha256="sha256:t",
        layout="inline",
        learning_rate=1e-3,
        retain_text="world",
    )
    return EditingPlace(Sports("people-16").card, source, retain, seed=7)


@pytest.fixture
def asking(retain: RetainText) -> AskingPlace:
    """Where a task works: batches of 64, the short texts, no base and nobody never-known."""
    return AskingPlace(batch_size=64, seed=7, retain=retain, base={})


@pytest.fixture(scope="session")
def committed() -> Callable[..., Path]:
    """Copies of committed runs: below which folder, of which `MODEL/FACTS/METHOD`, at which seeds."""

    def copied(folder: Path, *names: str, seeds: Iterable[int] = (0, 1)) -> Path:
        board = Path(__file__).parents[1] / "results" / "core-v1"
        found = [run for name in names for seed in seeds for run in (board / name).glob(f"seed-{seed}-*")]
        assert len(found) >= len(names), f"no runs of some of {names}"
        for run in found:
            shutil.copytree(run, folder / run.relative_to(board))
        return folder

    return copied
