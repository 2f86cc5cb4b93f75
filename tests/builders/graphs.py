"""ONNX graphs for tests: small sound ones, and those that do harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET = 19


def constant(name: str, value: Any, dtype: Any = np.float64) -> Any:
    """Return an initializer."""
    return numpy_helper.from_array(np.asarray(value, dtype=dtype), name)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
    """Return a node; ``inputs`` are names with blanks between them, ``_`` for none."""
    names = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(operator, names, [output], **attributes)


def graph_of(
    nodes: Sequence[Any],
    constants: Sequence[Any] = (),
    *,
    features: Sequence[str] = ("age",),
    domains: Sequence[str] = (),
    functions: Sequence[Any] = (),
) -> Any:
    """Return a model whose ``nodes`` make ``log_odds`` of ``features``, doubles ``[N, 1]``."""
    text = ("gender", "smoking_status")
    graph = helper.make_graph(
        [*nodes, node("Sigmoid", "log_odds", "probability")],
        "made",
        [
            helper.make_tensor_value_info(
                name, TensorProto.STRING if name in text else TensorProto.DOUBLE, ["N", 1]
            )
            for name in features
        ],
        [helper.make_tensor_value_info("probability", TensorProto.DOUBLE, ["N", 1])],
        list(constants),
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(name, 1 if name else OPSET) for name in ("", *domains)],
        ir_version=9,
        functions=list(functions),
    )


def sound() -> Any:
    """Return a model of the age alone."""
    return graph_of(
        [node("Mul", "age factor", "a"), node("Sub", "a three", "log_odds")],
        [constant("factor", 0.05), constant("three", 3.0)],
    )


def loop(body: Sequence[Any], *, go_on: Any, constants: Sequence[Any] = ()) -> Any:
    """Return a model that adds 0 to the age as often as ``body`` says ``again``.

    ``body`` makes ``again`` (a flag) and ``next`` of ``state``; ``go_on`` is the nodes that make
    ``first``, the flag before the first round, of ``age``.
    """
    inner = helper.make_graph(
        body,
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("before", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.DOUBLE, None),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.DOUBLE, None),
        ],
    )
    return graph_of(
        [
            *go_on,
            node("Loop", "_ first zero", "end", body=inner),
            node("ReduceSum", "end", "sum", keepdims=0),
            node("Mul", "sum nothing", "none"),
            node("Add", "age none", "a"),
            node("Mul", "a factor", "log_odds"),
        ],
        [constant("zero", [0.0]), constant("nothing", 0.0), constant("factor", -0.01), *constants],
    )
