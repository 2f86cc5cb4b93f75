"""Writes a fitted spline regression as one float64 ONNX graph, contributions included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stroke.adapters.training.splines import (
    FLAGS,
    SMOKING_LEVELS,
    SMOOTH,
    SplineDesign,
    levels_of,
    truncated_cubes_to_basis,
)
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.patient import OPTIONAL

# The oldest operator set whose Equal compares strings.
_OPSET: Final = 19
_IR_VERSION: Final = 9
_FLOAT: Final = TensorProto.DOUBLE


class Line(NamedTuple):
    """A logistic regression: a slope for each column of the design, and an intercept."""

    slopes: NDArray[np.float64]
    intercept: float


class _Writer:
    """Collects nodes and constants; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Any, dtype: Any = np.float64) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def smooth(self, name: str, design: SplineDesign) -> list[str]:
        """Clip a measurement and add its spline basis."""
        value = self.clipped(name, design)
        knots = design.knots_[name]
        beyond = self.node(
            "Sub", [value, self.constant(f"{name}_knots", knots[None, :])], f"{name}_from_knots"
        )
        beyond = self.node("Relu", [beyond], f"{name}_beyond_knots")
        square = self.node("Mul", [beyond, beyond], f"{name}_squares")
        cubes = self.node("Mul", [square, beyond], f"{name}_cubes")
        weights = self.constant(f"{name}_weights", truncated_cubes_to_basis(knots))
        return [value, self.node("MatMul", [cubes, weights], f"{name}_nonlinear")]

    def clipped(self, name: str, design: SplineDesign) -> str:
        """Return a number within the values of nearly all patients, the median for a gap."""
        value = name
        if name in design.medians_:
            missing = self.node("IsNaN", [name], f"{name}_missing")
            median = self.constant(f"{name}_median", [[design.medians_[name]]])
            value = self.node("Where", [missing, median, name], f"{name}_filled")
        low, high = design.clip_[name]
        value = self.node("Max", [value, self.constant(f"{name}_low", [[low]])], f"{name}_raised")
        return self.node("Min", [value, self.constant(f"{name}_high", [[high]])], f"{name}_clipped")

    def choice(self) -> str:
        """Return the number ``[N]`` of the set that each patient lacks: see ``_set_number``."""
        bits = []
        for place, name in enumerate(OPTIONAL):
            bit = self.node("Cast", [f"{name}_missing"], f"{name}_bit", to=TensorProto.INT64)
            weight = self.constant(f"{name}_place", [[1 << place]], dtype=np.int64)
            bits.append(self.node("Mul", [bit, weight], f"{name}_code"))
        code = self.node("Add", bits, "code")
        return self.node("Squeeze", [code, self.constant("last", [1], dtype=np.int64)], "choice")

    def indicator(self, name: str, level: str, number: int) -> str:
        """Return 1.0 where a text feature has ``level``, else 0.0."""
        constant = self.constant(f"{name}_level_{number}", [[level]], dtype=object)
        equal = self.node("Equal", [name, constant], f"{name}_is_{number}")
        return self.node("Cast", [equal], f"{name}_indicator_{number}", to=_FLOAT)


class Spread(NamedTuple):
    """What a graph needs to say how sure it is, in units of the standardised design.

    ``factors[missing]`` is ``L (1 + c, 1 + c)``, for ``c`` columns, of the covariance ``L L'`` of
    the coefficients of the line of those who lack ``missing``, intercept first, all 0 for a feature
    that it does not look at. With ``hat`` as ``L``, ``x' L L' x`` is a patient's leverage in
    multiples of the mean leverage of the training data. ``normal`` is how many standard errors an
    interval has on each side.
    """

    factors: Mapping[tuple[str, ...], NDArray[np.float64]]
    hat: NDArray[np.float64]
    normal: float


def to_onnx(
    design: SplineDesign,
    full: Line,
    companions: Mapping[tuple[str, ...], Line],
    name: str,
    spread: Spread | None = None,
) -> bytes:
    """Return the serialised graph; the same fit gives the same bytes.

    Inputs: the seven raw features, ``[N, 1]``, NaN for a missing one of ``OPTIONAL``, and then
    those of the design's own, NaN or an empty text for a missing one. Outputs: ``probability
    [N, 1]`` and ``contributions [N, k]`` in the order of the inputs, centred on the training mean,
    and with ``spread`` also ``interval [N, 2]`` and ``leverage [N, 1]``. All lines share the
    design, so that the choice of a patient's line is one look-up in a table of slopes; where there
    is no companion, the full one takes the median.
    """
    lines = [full] * (1 << len(OPTIONAL))
    for missing, line in companions.items():
        lines[_set_number(missing)] = line
    write = _Writer()
    columns = [column for feature in SMOOTH for column in write.smooth(feature, design)]
    columns += FLAGS
    columns.append(write.indicator("gender", "Male", 0))
    columns += [
        write.indicator("smoking_status", level, i) for i, level in enumerate(SMOKING_LEVELS)
    ]
    for each in design.further:
        if each.is_text:
            columns += [
                write.indicator(each.name, level, i) for i, level in enumerate(levels_of(each))
            ]
        else:
            columns.append(write.clipped(each.name, design))
    names = (*RAW_FEATURES, *(each.name for each in design.further))
    texts = TEXT_FEATURES | {each.name for each in design.further if each.is_text}
    raw = write.node("Concat", columns, "design", axis=1)
    centred = write.node("Sub", [raw, write.constant("mean", design.mean_[None, :])], "centred")
    choice = write.choice()
    weights = write.constant("weights", [line.slopes / design.scale_ for line in lines])
    chosen = write.node("Gather", [weights, choice], "chosen_weights")
    terms = write.node("Mul", [centred, chosen], "terms")
    of_feature = [[float(group == f) for f in names] for group in design.groups_]
    contributions = write.node(
        "MatMul", [terms, write.constant("of_feature", of_feature)], "contributions"
    )
    axis = write.constant("axis", [1], dtype=np.int64)
    total = write.node("ReduceSum", [contributions, axis], "total", keepdims=1)
    intercepts = write.constant("intercepts", [[line.intercept] for line in lines])
    intercept = write.node("Gather", [intercepts, choice], "intercept")
    log_odds = write.node("Add", [total, intercept], "log_odds")
    write.node("Sigmoid", [log_odds], "probability")
    outputs = {"probability": 1, "contributions": len(names)}
    if spread is not None:
        _write_spread(write, design, spread)
        outputs |= {"interval": 2, "leverage": 1}
    graph = helper.make_graph(
        write.nodes,
        name,
        [
            helper.make_tensor_value_info(
                feature, TensorProto.STRING if feature in texts else _FLOAT, ["N", 1]
            )
            for feature in names
        ],
        [
            helper.make_tensor_value_info(output, _FLOAT, ["N", width])
            for output, width in outputs.items()
        ],
        write.constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
    )
    model.producer_name = "stroke"
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _write_spread(write: _Writer, design: SplineDesign, spread: Spread) -> None:
    """Add interval and leverage: one product with the factors of all lines side by side.

    A variance is the sum of squares of its own factor's columns. Each patient's is picked from
    those of all lines, as their slopes are: rows with different gaps share a batch.
    """
    sets = 1 << len(OPTIONAL)
    factors = [spread.factors[()]] * sets
    for missing, factor in spread.factors.items():
        factors[_set_number(missing)] = factor
    joined = np.hstack([*factors, spread.hat])
    width = len(joined)
    columns = write.constant("factors", joined[1:] / design.scale_[:, None])
    of_one = write.constant("factors_of_one", joined[:1])
    product = write.node("MatMul", ["centred", columns], "centred_factors")
    roots = write.node("Add", [product, of_one], "roots")
    squares = write.node("Mul", [roots, roots], "root_squares")
    of_line = write.constant("of_line", np.kron(np.eye(sets + 1), np.ones((width, 1))))
    variances = write.node("MatMul", [squares, of_line], "variances")
    choice = write.node("Unsqueeze", ["choice", "last"], "choice_column")
    variance = write.node("GatherElements", [variances, choice], "variance", axis=1)
    error = write.node("Sqrt", [variance], "standard_error")
    half = write.node("Mul", [error, write.constant("normal", [[spread.normal]])], "half")
    low = write.node("Sub", ["log_odds", half], "log_odds_low")
    high = write.node("Add", ["log_odds", half], "log_odds_high")
    ends = write.node("Concat", [low, high], "log_odds_ends", axis=1)
    write.node("Sigmoid", [ends], "interval")
    place = write.constant("place_of_hat", [sets], dtype=np.int64)
    write.node("Gather", [variances, place], "leverage", axis=1)


def _set_number(missing: tuple[str, ...]) -> int:
    """Return the row of the table of slopes: bit ``i`` says that ``OPTIONAL[i]`` is missing."""
    return sum(1 << OPTIONAL.index(name) for name in missing)
