"""Writes one ONNX graph from parts: our own nodes, and graphs that skl2onnx made."""

import numpy as np
from onnx import TensorProto, compose, helper, numpy_helper

DOUBLE = TensorProto.DOUBLE
NEWEST = 18
"""The operator set of every part; one is needed that all parts know."""


class Writer:
    """Collects nodes and constants; its methods return the name of what they made."""

    def __init__(self):
        self.nodes = []
        self.constants = []
        self.functions = []
        self._count = 0

    def name(self, kind):
        """Return a name that is new in the graph."""
        self._count += 1
        return "%s_%d" % (kind, self._count)

    def constant(self, value, dtype=np.float64):
        """Add a constant."""
        name = self.name("c")
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def node(self, operator, inputs, **attributes):
        """Add a node with one output."""
        output = self.name(operator.lower())
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def cast(self, value, to=DOUBLE):
        """Cast to another type, 64-bit numbers by default."""
        return self.node("Cast", [value], to=to)

    def single(self, value):
        """Cast to 32 bits."""
        return self.cast(value, TensorProto.FLOAT)

    def axis(self):
        """Return the number of the axis along the columns."""
        return self.constant(1, np.int64)

    def affine(self, value, factor, added):
        """Return ``value * factor + added``."""
        scaled = self.node("Mul", [value, self.constant(factor)])
        return self.node("Add", [scaled, self.constant(added)])

    def total(self, value):
        """Sum ``[N, k]`` over its columns: ``[N, 1]``."""
        axis = self.constant([1], np.int64)
        return self.node("ReduceSum", [value, axis], keepdims=1)

    def columns(self, value, positions):
        """Return some columns of ``[N, k]``."""
        return self.node("Gather", [value, self.constant(positions, np.int64)], axis=1)

    def joined(self, values):
        """Put ``[N, ...]`` beside each other."""
        return values[0] if len(values) == 1 else self.node("Concat", values, axis=1)

    def include(self, model, fed):
        """Add the nodes of ``model``; ``fed`` names what each of its inputs gets.

        Returns its outputs' names by their name in ``model``.
        """
        prefix = self.name("part") + "_"
        part = compose.add_prefix(model, prefix)
        for name, value in fed.items():
            self.nodes.append(helper.make_node("Identity", [value], [prefix + name]))
        self.nodes.extend(part.graph.node)
        self.constants.extend(part.graph.initializer)
        self.functions.extend(part.functions)
        return {each.name: prefix + each.name for each in model.graph.output}

    def model(self, inputs, probability):
        """Return the serialised model; ``inputs`` maps each feature to its type."""
        output = self.node("Identity", [probability])
        self.nodes[-1].output[0] = output = "probability"
        graph = helper.make_graph(
            self.nodes,
            "imported",
            [helper.make_tensor_value_info(name, kind, ["N", 1]) for name, kind in inputs.items()],
            [helper.make_tensor_value_info(output, DOUBLE, ["N", 1])],
            self.constants,
        )
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", newest()), helper.make_opsetid("ai.onnx.ml", 3)],
            functions=self.functions,
        )
        made.ir_version = min(made.ir_version, 9)
        return made.SerializeToString()


def newest():
    """Return the operator set of every part."""
    from skl2onnx import __max_supported_opset__

    return min(NEWEST, __max_supported_opset__)
