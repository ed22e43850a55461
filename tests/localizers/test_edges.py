"""Edges: what a component writes is read by those after it, and the parts add up to the whole."""

from collections.abc import Callable

import pytest
import torch

from unlearnbench.facts import Split
from unlearnbench.locating.contrast import Pairs, pairs_of
from unlearnbench.locating.edges import LOGITS, edge_effects
from unlearnbench.locating.patching import attribution_effects, moved
from unlearnbench.model.hooks import recorded, tap
from unlearnbench.model.model import Model
from unlearnbench.model.readers import side_by_side, stream_of
from unlearnbench.model.reading import last_logits


@pytest.fixture
def pairs(model: Model, split: Split) -> Pairs:
    """Eight facts of every architecture."""
    return pairs_of(model, split.for_methods(), 8, 0)


def test_the_edges_that_leave_a_component_add_up_to_the_attribution_of_what_it_writes(
    model: Model, pairs: Pairs, architecture: str
) -> None:
    writers = stream_of(model).writers
    with tap(model), recorded(model, writers) as written:
        m = pairs.difference(model, pairs.clean)
        slopes = torch.autograd.grad(m.sum(), list(written.values()))
    change = moved(model, pairs, writers)
    nodes = {name: (change[name] * slope).sum((1, 2)) for name, slope in zip(written, slopes, strict=True)}

    edges = edge_effects(model, pairs, 1)

    for name, effect in nodes.items():
        leaving = sum(edge for (source, _), edge in edges.items() if source == name)
        torch.testing.assert_close(leaving, effect, atol=1e-4, rtol=1e-3)
    if architecture != "gemma2":  # which has a norm between a component and the stream
        for name, effect in attribution_effects(model, pairs).items():
            torch.testing.assert_close(nodes[name], effect, atol=1e-4, rtol=1e-3)


def test_nothing_is_read_before_it_is_written(model: Model, pairs: Pairs) -> None:
    order = {name: place for place, name in enumerate((*model.components, LOGITS))}

    edges = edge_effects(model, pairs, 1)

    assert all(order[source] < order[reader] for source, reader in edges)
    assert (("attention.0", "mlp.0") in edges) is not side_by_side(model)
    assert {reader for _, reader in edges} == {*model.components, LOGITS} - {"attention.0"} - (
        {"mlp.0"} if side_by_side(model) else set()
    )


def test_what_components_write_adds_up_to_the_residual_stream(model: Model, pairs: Pairs) -> None:
    stream, seen = stream_of(model), dict[str, torch.Tensor]()
    handles = [
        model.network.get_submodule(path).register_forward_hook(
            lambda _m, _i, output, name=name: seen.update({name: output[0] if isinstance(output, tuple) else output})
        )
        for name, path in stream.writers.items()
    ]
    last = model.network.get_submodule(f"{model.family.blocks}.{model.blocks - 1}")
    handles.append(
        last.register_forward_hook(lambda _m, _i, out: seen.update({"end": out[0] if isinstance(out, tuple) else out}))
    )
    first = model.network.get_submodule(stream.readers["attention.0"])
    handles.append(
        first.register_forward_pre_hook(lambda _m, inputs: seen.update({"start": inputs[0].clone()}), with_kwargs=False)
    )
    try:
        with torch.no_grad():
            last_logits(model, pairs.clean)
    finally:
        for handle in handles:
            handle.remove()

    total = seen["start"] + sum(seen[name] for name in model.components)
    torch.testing.assert_close(total, seen["end"], atol=1e-4, rtol=1e-4)


def test_gptneox_has_attention_and_mlp_side_by_side_and_the_others_one_after_another(
    random_models: Callable[..., Model],
) -> None:
    assert side_by_side(random_models("gpt_neox"))
    assert not any(side_by_side(random_models(name)) for name in ("llama", "gemma2", "qwen2", "gpt2"))


def test_taps_and_edges_leave_no_hook(model: Model, pairs: Pairs) -> None:
    edge_effects(model, pairs, 2)

    with tap(model) as seen:
        last_logits(model, pairs.clean)
    assert set(seen) == set(model.components)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.network.modules())


def test_an_edge_is_the_slope_of_m_along_what_one_component_writes_where_another_reads_it(
    model: Model, pairs: Pairs
) -> None:
    stream, step = stream_of(model), 1e-2
    change, edges = moved(model, pairs, stream.writers), edge_effects(model, pairs, 1)
    for source, reader in (("mlp.0", "attention.2"), ("attention.1", "mlp.3"), ("attention.0", "mlp.2")):

        def m(share: float, source: str = source, reader: str = reader) -> torch.Tensor:
            module = model.network.get_submodule(stream.readers[reader])

            def nudged(_: object, inputs: tuple, named: dict) -> tuple[tuple, dict]:  # type: ignore[type-arg]
                if inputs:
                    return (inputs[0] + share * change[source], *inputs[1:]), named
                return inputs, {**named, "hidden_states": named["hidden_states"] + share * change[source]}

            handle = module.register_forward_pre_hook(nudged, with_kwargs=True)
            try:
                with torch.no_grad():
                    return pairs.difference(model, pairs.clean)
            finally:
                handle.remove()

        slope = (m(step) - m(-step)) / (2 * step)
        torch.testing.assert_close(edges[source, reader], slope, atol=2e-3, rtol=2e-2)
