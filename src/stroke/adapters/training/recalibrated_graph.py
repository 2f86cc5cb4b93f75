"""Wraps a graph so that its log-odds move along a line, and all that hangs on them with them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from itertools import count
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from stroke.adapters.training.uncertainty import NORMAL
from stroke.adapters.training.verification import run_graph
from stroke.domain.errors import InvalidModel
from stroke.domain.model_update import RecalibrationLine

PROBABILITY: Final = "probability"
CONTRIBUTIONS: Final = "contributions"
INTERVAL: Final = "interval"
LEVERAGE: Final = "leverage"
PROBABILITIES: Final = (PROBABILITY, "probabilities", "output_probability")
"""What a graph may call its answer, as where it is served."""
DESIGN: Final = "design"
"""The name of the design matrix in graphs of `stroke model train`."""

_OLDEST: Final = 13  # the operator set from which the operators here are what they are now
_NEWEST: Final = 21
_FLOAT: Final = TensorProto.DOUBLE
_CERTAIN: Final = 1e-12  # as everywhere: a probability of 0 or 1 counts as so far from it


def recalibrated(parent: bytes, line: RecalibrationLine) -> bytes:
    """Return the graph ``parent`` with ``intercept + slope * log-odds`` as its log-odds.

    Contributions are multiplied by the slope. The interval has the variance of the parent's
    log-odds times the square of the slope, plus that of the line (delta method); a parent without
    an interval and a leverage gives none. Inputs stay. The same parent and line give the same
    bytes. Raises ``InvalidModel`` for a graph that cannot be wrapped.
    """
    model = onnx.load_model_from_string(parent)
    _needs_operators(model)
    outputs = {put.name: deepcopy(put) for put in model.graph.output}
    wrap = _Wrapping(model)
    log_odds = wrap.log_odds(outputs)
    new = wrap.constant("slope", [[line.slope]]), wrap.constant("intercept", [[line.intercept]])
    at = wrap.node("Add", [wrap.node("Mul", [log_odds, new[0]]), new[1]])
    wrap.output("Sigmoid", [at], PROBABILITY, 1)
    if CONTRIBUTIONS in outputs:
        parts = wrap.as_double(wrap.renamed(CONTRIBUTIONS))
        columns = outputs[CONTRIBUTIONS].type.tensor_type.shape.dim[-1].dim_value or None
        wrap.output("Mul", [parts, new[0]], CONTRIBUTIONS, columns)
    if {INTERVAL, LEVERAGE} <= set(outputs):
        wrap.interval(log_odds, at, line, outputs)
        wrap.output("Identity", [wrap.as_double(wrap.renamed(LEVERAGE))], LEVERAGE, 1)
    return wrap.finished()


def outputs_of(graph: bytes) -> frozenset[str]:
    """Return the names of a graph's outputs."""
    return frozenset(put.name for put in onnx.load_model_from_string(graph).graph.output)


def design_of(graph: bytes, patients: Any) -> Any:
    """Return the design matrix ``(N, k)`` that a graph of `stroke model train` makes of patients.

    The graph may have been wrapped. ``patients`` is a frame with the raw features. Returns None for
    a graph that has no such matrix.
    """
    model = onnx.load_model_from_string(graph)
    if not any(DESIGN in node.output for node in model.graph.node):
        return None
    model.graph.output.append(helper.make_tensor_value_info(DESIGN, _FLOAT, ["N", None]))
    return run_graph(model.SerializeToString(), [DESIGN], patients)[0]


class _Wrapping:
    """A parent whose outputs have become values inside, and what is put behind them."""

    def __init__(self, model: Any) -> None:
        self._model = model
        used = set(_names(model.graph))
        self._prefix = next(
            prefix
            for number in count(1)
            if not any(name.startswith(prefix := f"update{number}_") for name in used)
        )
        self._number = count(1)
        # Values inside may have the names that the outputs are to have.
        names = {PROBABILITY, CONTRIBUTIONS, INTERVAL, LEVERAGE}
        names |= {put.name for put in model.graph.output}
        self._inside = {name: f"{self._prefix}before_{name}" for name in sorted(names)}
        inputs = {put.name for put in model.graph.input}
        if inputs & self._inside.keys():
            raise InvalidModel("the graph gives one of its inputs as an output")
        _rename(model.graph, self._inside)
        del model.graph.output[:]

    def renamed(self, output: str) -> str:
        """Return the name that an output of the parent has inside."""
        return self._inside[output]

    def constant(self, name: str, value: Any, dtype: Any = np.float64) -> str:
        full = f"{self._prefix}{name}{next(self._number)}"
        tensor = numpy_helper.from_array(np.asarray(value, dtype=dtype), full)
        self._model.graph.initializer.append(tensor)
        return full

    def node(
        self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        output = output or f"{self._prefix}value{next(self._number)}"
        self._model.graph.node.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def output(self, operator: str, inputs: list[str], name: str, width: int | None) -> None:
        """Add a node whose output is one of the graph, ``[N, width]``."""
        self.node(operator, inputs, name)
        put = helper.make_tensor_value_info(name, _FLOAT, ["N", width])
        self._model.graph.output.append(put)

    def as_double(self, name: str) -> str:
        return self.node("Cast", [name], to=_FLOAT)

    def log_odds(self, outputs: Mapping[str, Any]) -> str:
        """Return the parent's log-odds ``[N, 1]``: those of its last sigmoid, or of its answer."""
        name = next((name for name in PROBABILITIES if name in outputs), None)
        if name is None:
            raise InvalidModel(f"the graph gives no probability, only {', '.join(outputs)}")
        if (before := self._sigmoid_input(outputs[name])) is not None:
            return before
        place = self.constant("last", [-1], np.int64)
        source = self.renamed(name)
        if (maps := self._maker(source, "ZipMap")) is not None:
            source = maps.input[0]
            labels = list(maps.attribute[0].ints or maps.attribute[0].strings)
            place = self.constant("of_stroke", [labels.index(max(labels))], np.int64)
        elif outputs[name].type.WhichOneof("value") != "tensor_type":
            raise InvalidModel("the graph gives its probabilities as no table of numbers")
        table = self.node("Flatten", [source], axis=1)
        return self._logit(self.as_double(self.node("Gather", [table, place], axis=1)))

    def interval(
        self, log_odds: str, at: str, line: RecalibrationLine, outputs: Mapping[str, Any]
    ) -> None:
        ends = self._sigmoid_input(outputs[INTERVAL])
        if ends is None:
            ends = self._logit(self.as_double(self.renamed(INTERVAL)))
        # Half of the width, times the slope; the line's own variance is a sum of squares.
        halves = self.constant("halves", [[-line.slope / 2], [line.slope / 2]])
        half = self.node("MatMul", [ends, halves])
        root = _root(line)
        constant = self.constant("error_of_intercept", NORMAL * root[:1])
        rising = self.constant("error_of_slope", NORMAL * root[1:])
        errors = self.node("Add", [self.node("Mul", [log_odds, rising]), constant])
        parts = self.node("Concat", [half, errors], axis=1)
        axis = self.constant("axis", [1], np.int64)
        sums = self.node("ReduceSum", [self.node("Mul", [parts, parts]), axis], keepdims=1)
        half = self.node("Sqrt", [sums])
        low, high = self.node("Sub", [at, half]), self.node("Add", [at, half])
        both = self.node("Concat", [low, high], axis=1)
        self.output("Sigmoid", [both], INTERVAL, 2)

    def finished(self) -> bytes:
        self._model.producer_name = "stroke"
        try:
            onnx.checker.check_model(self._model)
        except onnx.checker.ValidationError as error:
            raise InvalidModel(
                "the graph cannot be wrapped: it would break ONNX's rules"
            ) from error
        content: bytes = self._model.SerializeToString(deterministic=True)
        return content

    def _logit(self, probability: str) -> str:
        low, high = self.constant("lowest", _CERTAIN), self.constant("highest", 1 - _CERTAIN)
        inside = self.node("Min", [self.node("Max", [probability, low]), high])
        one = self.constant("one", 1.0)
        others = self.node("Log", [self.node("Sub", [one, inside])])
        return self.node("Sub", [self.node("Log", [inside]), others])

    def _sigmoid_input(self, output: Any) -> str | None:
        """Return what a sigmoid in double precision makes ``output`` of, if one does.

        Its input is exact where a probability is nearly 1, and a logarithm of the rest is not.
        """
        made = self._maker(self.renamed(output.name), "Sigmoid")
        double = output.type.tensor_type.elem_type == _FLOAT
        wide = len(output.type.tensor_type.shape.dim) == 2  # noqa: PLR2004 -- [N, k]
        narrow = output.name == INTERVAL or (
            wide and output.type.tensor_type.shape.dim[1].dim_value == 1
        )
        return None if made is None or not (double and wide and narrow) else str(made.input[0])

    def _maker(self, name: str, operator: str) -> Any:
        """Return the node that makes ``name`` if it is this operator."""
        return next(
            (
                node
                for node in self._model.graph.node
                if name in node.output and node.op_type == operator
            ),
            None,
        )


def _root(line: RecalibrationLine) -> Any:
    """Return ``L (2, 2)`` of the covariance ``L L'``, 0 where nothing was estimated."""
    covariance = np.array(line.covariance)
    if not covariance[1, 1]:
        return np.sqrt(np.diag([covariance[0, 0], 0.0]))
    return np.linalg.cholesky(covariance)


def _needs_operators(model: Any) -> None:
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if not versions:
        model.opset_import.append(helper.make_opsetid("", _OLDEST))
    elif not _OLDEST <= versions[0] <= _NEWEST:
        raise InvalidModel(
            f"the graph is of ONNX's operator set {versions[0]}: an update wraps those of "
            f"{_OLDEST} to {_NEWEST} (onnx.version_converter.convert_version)"
        )


def _names(graph: Any) -> Any:
    for put in (*graph.input, *graph.output, *graph.initializer):
        yield put.name
    for node in graph.node:
        yield from (*node.input, *node.output)
        for inner in _subgraphs(node):
            yield from _names(inner)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Rename values everywhere, also where graphs inside of nodes use or hide them."""
    for node in graph.node:
        for places in (node.input, node.output):
            for at, name in enumerate(places):
                places[at] = names.get(name, name)
        for inner in _subgraphs(node):
            _rename(inner, names)
    for put in (*graph.output, *graph.input, *graph.value_info, *graph.initializer):
        put.name = names.get(put.name, put.name)


def _subgraphs(node: Any) -> Any:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
