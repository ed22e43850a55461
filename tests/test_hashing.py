"""Hashes follow published rules (RFC 8785, SHA-256), and a model's digest depends on its tensors alone."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import rfc8785
import torch
from safetensors.torch import save_file

from unlearnbench.errors import MissingPrerequisite, UsageError
from unlearnbench.hashing import content_hash, file_hash, text_hash
from unlearnbench.model.digest import TensorBytes, stored_digest, tensor_digests, weights_digest
from unlearnbench.model.model import Model


def sha256(text: str) -> str:
    """The hash that anyone would compute."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def some_tensors() -> dict[str, torch.Tensor]:
    """Several dtypes and shapes, a scalar and an empty tensor among them."""
    generator = torch.Generator().manual_seed(0)
    return {
        "embed.weight": torch.randn(7, 3, generator=generator),
        "blocks.0.half": torch.randn(5, generator=generator).to(torch.bfloat16),
        "blocks.0.scale": torch.tensor(0.5),
        "blocks.1.float16": torch.randn(2, 2, 2, generator=generator).half(),
        "blocks.1.none": torch.empty(0, 4),
    }


def folder_with(folder: Path, *shards: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> Path:
    """A model folder with these safetensors files."""
    folder.mkdir()
    for number, shard in enumerate(shards):
        save_file(shard, folder / f"model-{number:05}.safetensors", metadata=metadata)
    return folder


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ({"b": 1, "a": 1e-7}, '{"a":1e-7,"b":1}'),
        ([1.0, 0.1, 1e21, -0.0, 1e-6], "[1,0.1,1e+21,0,0.000001]"),
        ({"€": "€", "a": None, "B": [True, False]}, '{"B":[true,false],"a":null,"€":"€"}'),
        ('line\n\u000f"quoted"', '"line\\n\\u000f\\"quoted\\""'),
        ([333333333.33333329, 4.50, 2e-3, 0.000000000000000000000000001], "[333333333.3333333,4.5,0.002,1e-27]"),
        ({}, "{}"),
    ],
)
def test_the_content_hash_is_the_sha256_of_canonical_json(value: Any, canonical: str) -> None:
    assert content_hash(value) == sha256(canonical)


def test_the_order_of_keys_does_not_matter_and_that_of_lists_does() -> None:
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash([1, 2]) != content_hash([2, 1])


def test_a_whole_number_hashes_the_same_as_an_integer_and_as_a_float() -> None:
    assert content_hash({"n": 1.0}) == content_hash({"n": 1})
    assert content_hash({"n": 1}) != content_hash({"n": "1"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 2**53, -(2**53)])
def test_what_json_cannot_say_exactly_is_refused(value: float) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        content_hash({"deep": [value]})


def test_the_largest_exact_integer_is_accepted() -> None:
    assert content_hash(2**53 - 1) == sha256("9007199254740991")


def test_texts_and_files_hash_as_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes("Köln\n".encode())

    assert text_hash("Köln\n") == sha256("Köln\n")
    assert file_hash(tmp_path / "text") == sha256("Köln\n")


def test_the_stored_digest_does_not_depend_on_sharding(tmp_path: Path) -> None:
    tensors = some_tensors()
    first = dict(list(tensors.items())[:2])
    second = {name: tensor for name, tensor in tensors.items() if name not in first}

    whole = stored_digest(folder_with(tmp_path / "whole", tensors))

    assert stored_digest(folder_with(tmp_path / "parts", first, second)) == whole
    assert stored_digest(folder_with(tmp_path / "swapped", second, first)) == whole


def test_the_stored_digest_does_not_depend_on_metadata_or_other_files(tmp_path: Path) -> None:
    plain = folder_with(tmp_path / "plain", some_tensors())
    labelled = folder_with(tmp_path / "labelled", some_tensors(), metadata={"format": "pt", "note": "hello"})
    (labelled / "config.json").write_text("{}", encoding="utf-8")

    assert stored_digest(labelled) == stored_digest(plain)


def test_the_stored_digest_is_that_of_the_same_tensors_in_memory(tmp_path: Path) -> None:
    tensors = some_tensors()
    stored = stored_digest(folder_with(tmp_path / "model", tensors))

    in_memory = Model.tensor_digests(cast(Model, SimpleNamespace(parameters=tensors)))

    assert sorted(in_memory) == sorted(tensors)
    assert weights_digest(in_memory) == stored


def test_tensors_that_are_not_contiguous_in_memory_have_the_same_digest(tmp_path: Path) -> None:
    matrix = torch.arange(6.0).reshape(2, 3)
    stored = stored_digest(folder_with(tmp_path / "model", {"w": matrix.t().contiguous()}))

    in_memory = Model.tensor_digests(cast(Model, SimpleNamespace(parameters={"w": matrix.t()})))

    assert weights_digest(in_memory) == stored


@pytest.mark.parametrize("bit", [0, 17, 31])
def test_one_bit_changes_the_digest_and_that_of_its_tensor_only(bit: int, tmp_path: Path) -> None:
    before, after = some_tensors(), some_tensors()
    words = after["embed.weight"].view(torch.int32)
    words[3, 1] ^= 1 << bit if bit < 31 else -(2**31)

    digests = [Model.tensor_digests(cast(Model, SimpleNamespace(parameters=t))) for t in (before, after)]

    assert [name for name in before if digests[0][name] != digests[1][name]] == ["embed.weight"]
    assert stored_digest(folder_with(tmp_path / "a", before)) != stored_digest(folder_with(tmp_path / "b", after))


@pytest.mark.parametrize(
    "other",
    [
        TensorBytes("v", "F32", (2, 1), bytes(8)),
        TensorBytes("w", "I32", (2, 1), bytes(8)),
        TensorBytes("w", "F32", (1, 2), bytes(8)),
        TensorBytes("w", "F32", (2, 1), bytes(7) + b"\x01"),
    ],
)
def test_name_dtype_shape_and_bytes_are_all_in_the_digest(other: TensorBytes) -> None:
    original = TensorBytes("w", "F32", (2, 1), bytes(8))

    assert weights_digest(tensor_digests([other])) != weights_digest(tensor_digests([original]))


def test_a_missing_folder_is_a_missing_prerequisite(tmp_path: Path) -> None:
    with pytest.raises(MissingPrerequisite, match="there is no model folder") as missing:
        stored_digest(tmp_path / "nowhere")

    assert missing.value.exit_code == 5


def test_a_folder_without_safetensors_is_a_missing_prerequisite_even_with_pickles(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")

    with pytest.raises(MissingPrerequisite, match=r"no \*\.safetensors file"):
        stored_digest(tmp_path)


def test_a_pointer_in_place_of_weights_is_no_safetensors_file(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n", encoding="utf-8")

    with pytest.raises(UsageError, match="not a safetensors file"):
        stored_digest(tmp_path)


@pytest.mark.parametrize("end", [0, 5, 40, -1])
def test_a_file_that_is_cut_off_is_no_safetensors_file(tmp_path: Path, end: int) -> None:
    path = folder_with(tmp_path / "model", some_tensors()) / "model-00000.safetensors"
    path.write_bytes(path.read_bytes()[:end])

    with pytest.raises(UsageError, match="not a safetensors file"):
        stored_digest(path.parent)
