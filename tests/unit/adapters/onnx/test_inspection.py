"""What is read of a graph's file before onnxruntime sees it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from builders.graphs import constant, graph_of, loop, node, sound
from stroke.adapters.onnx.inspection import check_self_contained
from stroke.domain.errors import InvalidModel


def external(name: str = "weights") -> Any:
    tensor = TensorProto(
        name=name, data_type=TensorProto.DOUBLE, dims=[1], data_location="EXTERNAL"
    )
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def custom(inputs: str, output: str) -> Any:
    return node("Blend", inputs, output, domain="our.operators")


def check(model: Any) -> None:
    check_self_contained(model.SerializeToString())


def test_a_graph_that_is_whole_passes() -> None:
    check(sound())


def test_an_operator_that_the_file_defines_itself_passes() -> None:
    blend = helper.make_function(
        "our.operators",
        "Blend",
        ["x"],
        ["y"],
        [node("Neg", "x", "y")],
        [helper.make_opsetid("", 19)],
    )
    check(graph_of([custom("age", "log_odds")], domains=["our.operators"], functions=[blend]))


@pytest.mark.parametrize(
    "model",
    [
        graph_of([custom("age", "log_odds")], domains=["our.operators"]),
        loop(
            [custom("state", "next"), node("Identity", "before", "again")],
            go_on=[node("Identity", "no", "first")],
            constants=[constant("no", False, bool)],
        ),
    ],
    ids=["in the graph", "within a loop"],
)
def test_a_custom_operator_is_refused_by_name(model: Any) -> None:
    with pytest.raises(InvalidModel, match=r"'Blend' of 'our\.operators'"):
        check(model)


def with_function(nodes: Sequence[Any] = (), defaults: Sequence[tuple[str, Any]] = ()) -> Any:
    """Return a model with a function of these nodes and defaults of attributes."""
    function = helper.make_function(
        "our.operators",
        "Blend",
        ["x"],
        ["y"],
        [*nodes, node("Neg", "x", "y")],
        [helper.make_opsetid("", 19)],
        attribute_protos=[helper.make_attribute(name, value) for name, value in defaults],
    )
    return graph_of([custom("age", "log_odds")], domains=["our.operators"], functions=[function])


def graph_with(*initializers: Any, nodes: Sequence[Any] = ()) -> Any:
    return helper.make_graph(list(nodes), "inner", [], [], list(initializers))


def trained(*, initialization: bool) -> Any:
    """Return a model with a graph for training that has its data in another file."""
    model = sound()
    training = model.training_info.add()
    chosen = training.initialization if initialization else training.algorithm
    chosen.CopyFrom(graph_with(external()))
    return model


HIDDEN = {
    "a node of a function": with_function([node("Constant", "", "w", value=external())]),
    "a default of a function": with_function(defaults=[("w", external())]),
    "one of the defaults of a function": with_function(defaults=[("w", [external()])]),
    "a graph that is a default of a function": with_function(
        defaults=[("w", graph_with(external()))]
    ),
    "a graph in a function": with_function(
        [node("If", "x", "z", then_branch=graph_with(external()), else_branch=graph_with())]
    ),
    "training": trained(initialization=False),
    "the start of training": trained(initialization=True),
}


@pytest.mark.parametrize("place", HIDDEN)
def test_data_in_another_file_are_found_wherever_a_file_may_have_them(place: str) -> None:
    with pytest.raises(InvalidModel, match=r"'weights' in another file"):
        check(HIDDEN[place])


@pytest.mark.parametrize("domain", ["ai.onnx.training", "ai.onnx.preview.training", "com.amd", " "])
def test_an_operator_of_another_domain_is_refused_wherever_it_is(domain: str) -> None:
    other = node("Blend", "x", "z", domain=domain)
    inner = graph_with(nodes=[other])
    for model in (
        graph_of([node("Blend", "age", "log_odds", domain=domain)], domains=[domain]),
        with_function([other]),
        with_function(defaults=[("w", inner)]),
        with_function([node("If", "x", "z", then_branch=inner, else_branch=inner)]),
    ):
        with pytest.raises(InvalidModel, match="custom operator 'Blend'"):
            check(model)


@pytest.mark.parametrize(
    "model",
    [
        graph_of([node("Mul", "age weights", "log_odds")], [external()]),
        graph_of(
            [
                node("Constant", "", "w", value=external()),
                node("Mul", "age w", "log_odds"),
            ]
        ),
        loop(
            [
                node("Constant", "", "w", value=external()),
                node("Mul", "state w", "next"),
                node("Identity", "before", "again"),
            ],
            go_on=[node("Identity", "no", "first")],
            constants=[constant("no", False, bool)],
        ),
    ],
    ids=["initializer", "attribute", "within a loop"],
)
def test_data_in_another_file_is_refused_by_name(model: Any) -> None:
    with pytest.raises(InvalidModel, match=r"'weights' in another file"):
        check(model)


@given(st.binary(max_size=200) | st.integers(0, 150).map(lambda n: sound().SerializeToString()[:n]))
def test_anything_else_is_refused_as_a_model_and_never_by_an_internal_error(content: bytes) -> None:
    with suppress(InvalidModel):
        check_self_contained(content)


@pytest.mark.parametrize("content", [b"", b"no graph", b"PK\x03\x04", b"\x00" * 100])
def test_a_file_that_is_no_graph_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidModel, match="no ONNX graph"):
        check_self_contained(content)


def test_graphs_within_graphs_without_end_are_refused() -> None:
    content = b""
    for _ in range(100):  # attribute.g, node.attribute, graph.node
        for key in (b"\x32", b"\x2a", b"\x0a"):
            content = key + encoded_length(content) + content
    with pytest.raises(InvalidModel, match="no ONNX graph"):
        check_self_contained(b"\x3a" + encoded_length(content) + content)


def encoded_length(content: bytes) -> bytes:
    """Return protobuf's length of a message."""
    left, made = len(content), b""
    while left >= 128:
        made += bytes([left % 128 + 128])
        left //= 128
    return made + bytes([left])
