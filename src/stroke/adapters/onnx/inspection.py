"""What a graph's file says of itself, read before onnxruntime sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from stroke.domain.errors import InvalidModel

# What onnxruntime itself implements.
_BUILT_IN: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
_EXTERNAL: Final = 1  # TensorProto.DataLocation

# The part of onnx.proto3 that is looked at: message -> field -> number and type. The package
# onnx has it all, and is not installed where models are served.
_REPEATED: Final = "repeated "
_SCHEMA: Final[dict[str, dict[str, tuple[int, str]]]] = {
    "Model": {
        "graph": (7, "Graph"),
        "training": (20, "repeated Training"),
        "functions": (25, "repeated Function"),
    },
    "Training": {"initialization": (1, "Graph"), "algorithm": (2, "Graph")},
    "Function": {
        "name": (1, "string"),
        "node": (7, "repeated Node"),
        "domain": (10, "string"),
        "default": (11, "repeated Attribute"),
    },
    "Graph": {
        "node": (1, "repeated Node"),
        "initializer": (5, "repeated Tensor"),
        "sparse_initializer": (15, "repeated SparseTensor"),
    },
    "Node": {
        "op_type": (4, "string"),
        "attribute": (5, "repeated Attribute"),
        "domain": (7, "string"),
    },
    "Attribute": {
        "t": (5, "Tensor"),
        "g": (6, "Graph"),
        "tensors": (10, "repeated Tensor"),
        "graphs": (11, "repeated Graph"),
        "sparse_tensor": (22, "SparseTensor"),
        "sparse_tensors": (23, "repeated SparseTensor"),
    },
    "SparseTensor": {"values": (1, "Tensor"), "indices": (2, "Tensor")},
    "Tensor": {"name": (8, "string"), "data_location": (14, "int32")},
}
_PACKAGE: Final = "stroke.onnx_part"


def _model_message() -> Any:
    file = FileDescriptorProto(name="stroke/onnx_part.proto", package=_PACKAGE, syntax="proto2")
    for message, fields in _SCHEMA.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            field = described.field.add(name=name, number=number)
            repeated = kind.startswith(_REPEATED)
            field.label = (
                FieldDescriptorProto.LABEL_REPEATED
                if repeated
                else FieldDescriptorProto.LABEL_OPTIONAL
            )
            plain = kind.removeprefix(_REPEATED)
            if plain in _SCHEMA:
                field.type = FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{plain}"
            else:
                field.type = {
                    "string": FieldDescriptorProto.TYPE_BYTES,  # whatever the file has in it
                    "int32": FieldDescriptorProto.TYPE_INT32,
                }[plain]
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))


_Model: Final = _model_message()


def check_self_contained(content: bytes) -> None:
    """Raise ``InvalidModel``, naming the part, unless the graph is all in ``content``.

    Data in other files could be any file of this machine, and operators that onnxruntime does
    not have would need a library loaded into the service.
    """
    try:
        model = _Model.FromString(content)
    except DecodeError:
        raise InvalidModel("onnxruntime cannot load the file: it is no ONNX graph") from None
    if not model.HasField("graph"):
        raise InvalidModel("onnxruntime cannot load the file: it is no ONNX graph")
    local = {(each.domain, each.name) for each in model.functions}
    for node in _nodes(model):
        if node.domain.decode(errors="replace") in _BUILT_IN:
            continue
        if (node.domain, node.op_type) not in local:
            raise InvalidModel(
                f"the graph uses the custom operator {_shown(node.op_type)} of "
                f"{_shown(node.domain)}: only operators that onnxruntime has are taken"
            )
    for tensor in _tensors(model):
        if tensor.data_location == _EXTERNAL:
            raise InvalidModel(
                f"the graph keeps {_shown(tensor.name)} in another file: save it as one file "
                "(onnx.save_model(..., save_as_external_data=False))"
            )


def _nodes(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def _graphs(model: Any) -> Iterator[Any]:
    left = [model.graph]
    left += [graph for each in model.training for graph in (each.initialization, each.algorithm)]
    left += [g for f in model.functions for g in _within(f.default)]
    left += [g for f in model.functions for node in f.node for g in _within(node.attribute)]
    while left:
        graph = left.pop()
        yield graph
        left += [inner for node in graph.node for inner in _within(node.attribute)]


def _within(attributes: Any) -> Iterator[Any]:
    for attribute in attributes:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    of_nodes = [node.attribute for node in _nodes(model)]
    for attributes in (*of_nodes, *(function.default for function in model.functions)):
        for attribute in attributes:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def _shown(text: bytes) -> str:
    return repr(text.decode(errors="replace")[:80])
