"""Converters of our own, where skl2onnx has none or loses digits."""

import numpy as np

FUNCTIONS = {
    "absolute": ["Abs"],
    "exp": ["Exp"],
    "log": ["Log"],
    "log10": ["Log", 1 / np.log(10)],
    "log1p": [1.0, "Log"],
    "log2": ["Log", 1 / np.log(2)],
    "expm1": ["Exp", -1.0],
    "sqrt": ["Sqrt"],
    "square": None,
}


def register():
    """Let skl2onnx use them."""
    from skl2onnx import update_registered_converter
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import (
        get_converter,
        get_shape_calculator,
    )
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer

    for kind, ours in (
        (SimpleImputer, imputer),
        (FunctionTransformer, function),
        (KBinsDiscretizer, bins),
    ):
        alias = sklearn_operator_name_map.get(kind)
        if alias is None:
            continue
        update_registered_converter(
            kind,
            "Stroke" + alias,
            _shape(get_shape_calculator(alias)),
            _ours_or(ours, get_converter(alias)),
        )


def _ours_or(ours, theirs):
    def converter(scope, operator, container):
        if not ours(scope, operator, container):
            theirs(scope, operator, container)

    return converter


def _shape(theirs):
    def shape(operator):
        step, first = operator.raw_operator, operator.inputs[0].type
        if _ufunc(step):
            width = sum(each.type.shape[1] or 0 for each in operator.inputs)
            operator.outputs[0].type = type(first)([None, width])
        elif hasattr(step, "bin_edges_"):
            width = len(step.n_bins_) if step.encode == "ordinal" else sum(step.n_bins_)
            operator.outputs[0].type = type(first)([None, width])
        else:
            theirs(operator)

    return shape


def _joined(scope, operator, container):
    from skl2onnx.operator_converters.common import concatenate_variables

    return concatenate_variables(scope, operator.inputs, container)


def imputer(scope, operator, container):
    """Fill in 64 bits what is missing of numbers; return whether it was done."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import DoubleTensorType

    step = operator.raw_operator
    if not isinstance(operator.inputs[0].type, DoubleTensorType):
        return False
    statistics = np.asarray(step.statistics_, np.float64)
    if step.add_indicator or np.isnan(statistics).any() or step.missing_values is None:
        return False
    value = _joined(scope, operator, container)
    missing, fill = (
        scope.get_unique_variable_name("missing"),
        scope.get_unique_variable_name("fill"),
    )
    container.add_initializer(fill, TensorProto.DOUBLE, [1, len(statistics)], statistics)
    if np.isnan(step.missing_values):
        container.add_node("IsNaN", [value], [missing], op_version=13)
    else:
        mark = scope.get_unique_variable_name("mark")
        container.add_initializer(mark, TensorProto.DOUBLE, [1], [float(step.missing_values)])
        container.add_node("Equal", [value, mark], [missing], op_version=13)
    container.add_node(
        "Where", [missing, fill, value], [operator.outputs[0].full_name], op_version=9
    )
    return True


def _ufunc(step):
    func = getattr(step, "func", None)
    name = getattr(func, "__name__", "")
    return name if name in FUNCTIONS and func is getattr(np, name, None) else None


def function(scope, operator, container):
    """Apply one of numpy's functions; return whether it was done."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import DoubleTensorType

    name = _ufunc(operator.raw_operator)
    if name is None:
        return False
    value = _joined(scope, operator, container)
    double = isinstance(operator.inputs[0].type, DoubleTensorType)
    number = TensorProto.DOUBLE if double else TensorProto.FLOAT
    operations = FUNCTIONS[name]
    if operations is None:
        squared = scope.get_unique_variable_name("squared")
        container.add_node("Mul", [value, value], [squared], op_version=14)
        value, operations = squared, []
    for number_or_operator in operations:
        result = scope.get_unique_variable_name("applied")
        if isinstance(number_or_operator, str):
            version = {"Abs": 13, "Exp": 13, "Log": 13, "Sqrt": 13}[number_or_operator]
            container.add_node(number_or_operator, [value], [result], op_version=version)
        else:
            constant = scope.get_unique_variable_name("number")
            container.add_initializer(constant, number, [1], [number_or_operator])
            kind = "Mul" if name in {"log2", "log10"} else "Add"
            container.add_node(kind, [value, constant], [result], op_version=14)
        value = result
    container.add_node("Identity", [value], [operator.outputs[0].full_name], op_version=13)
    return True


def bins(scope, operator, container):
    """Count the edges that a number has reached, in 64 bits; return whether it was done."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import DoubleTensorType

    step = operator.raw_operator
    if not isinstance(operator.inputs[0].type, DoubleTensorType):
        return False

    def node(kind, inputs, op_version, **attributes):
        output = scope.get_unique_variable_name(kind.lower())
        container.add_node(kind, inputs, [output], op_version=op_version, **attributes)
        return output

    def constant(values, number=TensorProto.DOUBLE):
        name = scope.get_unique_variable_name("constant")
        shape = [1, len(values)] if number == TensorProto.DOUBLE else [len(values)]
        container.add_initializer(name, number, shape, values)
        return name

    value = _joined(scope, operator, container)
    axis = constant([1], TensorProto.INT64)
    parts = []
    for column, edges in enumerate(step.bin_edges_):
        one = node("Gather", [value, constant([column], TensorProto.INT64)], 13, axis=1)
        below = node("Less", [one, constant([float(each) for each in edges[1:-1]])], 13)
        reached = node("Cast", [node("Not", [below], 1)], 13, to=TensorProto.DOUBLE)
        part = node("ReduceSum", [reached, axis], 13, keepdims=1)
        if step.encode != "ordinal":
            numbers = constant([float(each) for each in range(len(edges) - 1)])
            part = node("Cast", [node("Equal", [part, numbers], 13)], 13, to=TensorProto.DOUBLE)
        parts.append(part)
    container.add_node("Concat", parts, [operator.outputs[0].full_name], op_version=13, axis=1)
    return True
