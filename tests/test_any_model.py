"""Any causal language model can be edited as a whole; components are named only where they are what they are called."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
import transformers
from transformers import PreTrainedTokenizerFast

from unlearnbench.cli import main
from unlearnbench.errors import UsageError
from unlearnbench.model import families
from unlearnbench.model.families import Family
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode
from unlearnbench.records import store

ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
OPT = {"hidden_size": 16, "ffn_dim": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "word_embed_proj_dim": 16}
ANY = {
    "opt": ("OPTConfig", {**OPT, "max_position_embeddings": 512}),
    "bloom": ("BloomConfig", {"hidden_size": 16, "n_layer": 2, "n_head": 2}),
    "mamba": ("MambaConfig", {"hidden_size": 16, "state_size": 4, "num_hidden_layers": 2}),
}
FORGET = ["--facts", "sports:people-16[known=0]", "--tasks", "sports/forget"]
QUICK = ["--facts", "sports:people-16[known=0]", "--tasks", "sports/forget,sports/maintain", "--method_args", "steps=2"]


def a_network(name: str, vocabulary: int) -> transformers.PreTrainedModel:
    """A small network with random weights."""
    kind, sizes = ANY[name]
    config = getattr(transformers, kind)(vocab_size=vocabulary, **sizes, **ENDS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(config)


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", list(ANY))
def test_methods_that_need_no_components_run_on_a_model_of_no_known_family(
    name: str,
    tiny_tokenizer: PreTrainedTokenizerFast,
    saved: Callable[[Model], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = Model(a_network(name, len(tiny_tokenizer)), tiny_tokenizer)
    folder = ["--model", "hf", "--model_args", f"pretrained={saved(model)}", "--retain_text", "world"]

    code = main(["run", *folder, "--methods", "none,full_finetune,all_mlps", *QUICK, "-o", str(tmp_path / "out")])

    shown = capsys.readouterr()
    found = {one.spec.method.name: one for _, one in store.records(tmp_path / "out")}
    assert set(found) == {"none", "full_finetune"}, shown.err
    assert all(one.status == "completed" for one in found.values())
    assert found["full_finetune"].localization.share_of_blocks is None
    assert found["full_finetune"].localization.change_by_component.keys() == {"other"}
    assert code == 1
    assert "all_mlps[steps=2] · sports:people-16[known=0] · seed 0: FAILED" in shown.err
    assert ("with its weights at zero" if name == "bloom" else "no known family") in shown.err
    assert "warning: the base hardly knows the facts to forget: base 0." in shown.out


@pytest.mark.parametrize(
    ("kind", "sizes", "row"),
    [
        ("BloomConfig", {"hidden_size": 16, "n_layer": 2, "n_head": 2}, ("transformer.h", "self_attention", "mlp")),
        (
            "MptConfig",
            {"d_model": 16, "n_layers": 2, "n_heads": 2, "max_seq_len": 64},
            ("transformer.blocks", "attn", "ffn"),
        ),
    ],
)
def test_a_family_whose_sublayers_put_out_more_than_their_own_is_refused_for_components(
    kind: str,
    sizes: dict[str, int],
    row: tuple[str, str, str],
    tiny_tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = getattr(transformers, kind)(vocab_size=len(tiny_tokenizer), **sizes)
    model = Model(transformers.AutoModelForCausalLM.from_config(config), tiny_tokenizer)
    before = model.tensor_digests()
    monkeypatch.setattr(families, "FAMILIES", (Family("wrong", *row),))
    families.families.cache_clear()

    with pytest.raises(UsageError, match="with its weights at zero it still puts out"):
        _ = model.components
    families.families.cache_clear()

    assert not model.has_components
    assert model.tensor_digests() == before


def test_the_text_model_of_a_multimodal_one_has_components(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(tiny_tokenizer), "num_key_value_heads": 1, "head_dim": 8}
    vision = {**sizes, "image_size": 8, "patch_size": 4, "model_type": "siglip_vision_model"}
    config = transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    model = Model(transformers.Gemma3ForConditionalGeneration(config), tiny_tokenizer)

    assert list(model.components) == ["attention.0", "mlp.0", "attention.1", "mlp.1"]
    assert model.vocabulary == len(tiny_tokenizer)


def test_a_family_can_come_from_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine", "unlearnbench.model.families:FAMILIES", families.GROUP)
    monkeypatch.setattr(families, "entry_points", lambda *, group: [point] if group == families.GROUP else [])
    families.families.cache_clear()

    found = families.families()
    families.families.cache_clear()

    assert found == (*families.FAMILIES, families.FAMILIES)


def test_a_token_that_the_model_has_no_embedding_for_is_named(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    model = Model(a_network("opt", 50), tiny_tokenizer)

    with pytest.raises(UsageError, match="the model has 50 embeddings"):
        encode(model, "Fact: Ann Lee plays the sport of", "golf")


# -- finished checkpoints ------------------------------------------------------------------------------


@pytest.fixture
def against(saved: Callable[[Model], Path], tmp_path: Path) -> Callable[..., int]:
    """Saves a base and then an edit of it, scores the edit against the base, and gives the exit code."""

    def run(base: Model, change: Callable[[Model], Model]) -> int:
        kept = saved(base).rename(tmp_path / "base")
        edited = saved(change(base)).rename(tmp_path / "edited")
        words = ["--model", "hf", "--model_args", f"pretrained={edited}", "--base", str(kept)]
        return main(["run", *words, "--retain_text", "world", *FORGET, "-o", str(tmp_path / "out")])

    return run


@pytest.mark.end_to_end
def test_a_finished_checkpoint_is_scored_against_its_own_base(
    random_models: Callable[..., Model],
    against: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def edited(model: Model) -> Model:
        with torch.no_grad():
            model.parameters["model.layers.0.mlp.up_proj.weight"].add_(0.1)
        return model

    code = against(random_models("llama"), edited)

    found = {one.spec.method.name: one for _, one in store.records(tmp_path / "out")}
    assert code == 0, capsys.readouterr().err
    assert set(found) == {"none", "checkpoint"}
    change = {name for name, norm in found["checkpoint"].localization.change_by_component.items() if norm}
    assert change == {"mlp.0"}
    assert found["checkpoint"].spec.method.settings == {"pretrained": "edited"}, "no path of a machine is recorded"
    assert str(tmp_path) not in found["checkpoint"].model_dump_json()
    assert "checkpoint[pretrained=edited]" in capsys.readouterr().out


@pytest.mark.end_to_end
def test_a_checkpoint_of_another_shape_is_refused_by_the_tensor_that_differs(
    random_models: Callable[..., Model], against: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    code = against(random_models("llama"), lambda _: random_models("gpt2"))

    assert code == 1
    assert "edited is no edit of base: 'transformer.wte.weight' has shape none here" in capsys.readouterr().err


@pytest.mark.end_to_end
def test_a_checkpoint_of_another_configuration_is_refused_by_the_setting_that_differs(
    random_models: Callable[..., Model], against: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def edited(model: Model) -> Model:
        model.network.config.rms_norm_eps = 0.5
        return model

    assert against(random_models("llama"), edited) == 1
    assert "another configuration than base: 'rms_norm_eps'" in capsys.readouterr().err
