"""Writes a fitted spline regression as one float64 ONNX graph, contributions included."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from stroke.adapters.training.splines import (
    FLAGS,
    SMOKING_LEVELS,
    SMOOTH,
    SplineDesign,
    truncated_cubes_to_basis,
)
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES

# The oldest operator set whose Equal compares strings.
_OPSET: Final = 19
_IR_VERSION: Final = 9
_FLOAT: Final = TensorProto.DOUBLE


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
        value = name
        if name == "bmi":
            missing = self.node("IsNaN", [name], "bmi_missing")
            median = self.constant("bmi_median", [[design.bmi_median_]])
            value = self.node("Where", [missing, median, name], "bmi_filled")
        low, high = design.clip_[name]
        value = self.node("Max", [value, self.constant(f"{name}_low", [[low]])], f"{name}_raised")
        value = self.node(
            "Min", [value, self.constant(f"{name}_high", [[high]])], f"{name}_clipped"
        )
        knots = design.knots_[name]
        beyond = self.node(
            "Sub", [value, self.constant(f"{name}_knots", knots[None, :])], f"{name}_from_knots"
        )
        beyond = self.node("Relu", [beyond], f"{name}_beyond_knots")
        square = self.node("Mul", [beyond, beyond], f"{name}_squares")
        cubes = self.node("Mul", [square, beyond], f"{name}_cubes")
        weights = self.constant(f"{name}_weights", truncated_cubes_to_basis(knots))
        return [value, self.node("MatMul", [cubes, weights], f"{name}_nonlinear")]

    def indicator(self, name: str, level: str, number: int) -> str:
        """Return 1.0 where a text feature has ``level``, else 0.0."""
        constant = self.constant(f"{name}_level_{number}", [[level]], dtype=object)
        equal = self.node("Equal", [name, constant], f"{name}_is_{number}")
        return self.node("Cast", [equal], f"{name}_indicator_{number}", to=_FLOAT)


def to_onnx(design: SplineDesign, regression: LogisticRegression, name: str) -> bytes:
    """Return the serialised graph; the same fit gives the same bytes.

    Inputs: the seven raw features, ``[N, 1]``. Outputs: ``probability [N, 1]`` and
    ``contributions [N, 7]`` in ``RAW_FEATURES``' order, centred on the training mean.
    """
    write = _Writer()
    columns = [column for feature in SMOOTH for column in write.smooth(feature, design)]
    columns += FLAGS
    columns.append(write.indicator("gender", "Male", 0))
    columns += [
        write.indicator("smoking_status", level, i) for i, level in enumerate(SMOKING_LEVELS)
    ]
    raw = write.node("Concat", columns, "design", axis=1)
    centred = write.node("Sub", [raw, write.constant("mean", design.mean_[None, :])], "centred")
    weights = (regression.coef_[0] / design.scale_)[None, :]
    terms = write.node("Mul", [centred, write.constant("weights", weights)], "terms")
    of_feature = [[float(group == f) for f in RAW_FEATURES] for group in design.groups_]
    contributions = write.node(
        "MatMul", [terms, write.constant("of_feature", of_feature)], "contributions"
    )
    axis = write.constant("axis", [1], dtype=np.int64)
    total = write.node("ReduceSum", [contributions, axis], "total", keepdims=1)
    intercept = write.constant("intercept", regression.intercept_.reshape(1, 1))
    log_odds = write.node("Add", [total, intercept], "log_odds")
    write.node("Sigmoid", [log_odds], "probability")
    graph = helper.make_graph(
        write.nodes,
        name,
        [
            helper.make_tensor_value_info(
                feature, TensorProto.STRING if feature in TEXT_FEATURES else _FLOAT, ["N", 1]
            )
            for feature in RAW_FEATURES
        ],
        [
            helper.make_tensor_value_info("probability", _FLOAT, ["N", 1]),
            helper.make_tensor_value_info("contributions", _FLOAT, ["N", len(RAW_FEATURES)]),
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
