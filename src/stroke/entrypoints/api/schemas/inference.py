"""What the Open Inference Protocol V2 answers, as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Datatype = Literal["FP64", "INT64", "BYTES"]


class _Answer(BaseModel):
    # `model_name` is a word of the protocol; pydantic keeps this prefix for itself.
    model_config = ConfigDict(protected_namespaces=())


class InferenceErrorOut(_Answer):
    """An error of the protocol: one text, with the places of the first ten problems."""

    error: str


class ServerOut(_Answer):
    """What serves, and which extensions of the protocol it knows."""

    name: Literal["stroke"]
    version: str
    extensions: list[str]


class LiveOut(_Answer):
    """That the process answers."""

    live: Literal[True]


class ServerReadyOut(_Answer):
    """That the model is loaded, and that predictions can be stored."""

    ready: Literal[True]


class ModelReadyOut(_Answer):
    """That a model can be asked."""

    name: str
    ready: Literal[True]


class TensorMetadataOut(_Answer):
    """An input or an output of a model. -1 in its shape stands for any number of rows."""

    name: str
    datatype: Datatype
    shape: list[Literal[-1]] = Field(min_length=1, max_length=1)


class ModelMetadataOut(_Answer):
    """The inputs and outputs of a model."""

    name: str
    versions: list[str]
    platform: Literal["onnx"]
    inputs: list[TensorMetadataOut]
    outputs: list[TensorMetadataOut]


class TensorParametersOut(_Answer):
    """How many bytes behind the JSON belong to an output."""

    binary_data_size: int = Field(ge=0)


class TensorOut(_Answer):
    """An output of the shape ``[n]``, with ``data``, or with data behind the JSON."""

    name: str
    datatype: Datatype
    shape: list[int] = Field(min_length=1, max_length=1)
    data: list[float | str | None] = Field(default_factory=list)
    parameters: TensorParametersOut | None = None


class InferOut(_Answer):
    """What a model says of the rows, in their order."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[TensorOut]
