"""The tensors of the Open Inference Protocol V2: what a request holds, and what an answer does.

The binary data extension puts the data of tensors behind the JSON, in the order of the tensors:
little-endian, and text as its length (4 bytes, unsigned) and its bytes. Nothing is read before its
length was compared with what is there, and no problem quotes a value.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.exceptions import HTTPException

from stroke.domain.errors import InvalidPatient
from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import (
    MOST_FURTHER,
    FeatureKind,
    Further,
    FurtherFeature,
    values_of,
)
from stroke.domain.patient import OPTIONAL, Patient, extended, flag_of, lacking
from stroke.entrypoints.api.body import parse
from stroke.entrypoints.api.rendering import rendered
from stroke.entrypoints.api.schemas.fields import BATCH_SIZE
from stroke.entrypoints.api.violations import MOST_PROBLEMS, FieldProblem, InvalidRequest

FP64, INT64, BYTES = "FP64", "INT64", "BYTES"
TEXTS: Final = ("name", "country", "province")
"""What a stored prediction has besides the features; the score needs none of them."""
DATATYPES: Final[Mapping[str, str]] = {
    "gender": BYTES,
    "age": FP64,
    "hypertension": INT64,
    "heart_disease": INT64,
    "avg_glucose_level": FP64,
    "bmi": FP64,
    "smoking_status": BYTES,
    **dict.fromkeys(TEXTS, BYTES),
}
"""The datatype of each input. Numbers may come as FP64 and as INT64."""
SHORTEST_ROW: Final = 20
"""No row has fewer bytes: `"Male",0,0,0,"smokes",` without optional measurements has 22."""

_FLAGS: Final = ("hypertension", "heart_disease")
_FURTHER_TYPES: Final = {
    FeatureKind.NUMBER: FP64,
    FeatureKind.FLAG: INT64,
    FeatureKind.CATEGORY: BYTES,
}
_NUMBER_BYTES: Final = 8
_LENGTH: Final = struct.Struct("<I")
# A row may be a list in each tensor; text may have brackets and commas, too.
_MOST_CONTAINERS: Final = (len(DATATYPES) + MOST_FURTHER + 4) * BATCH_SIZE
_MOST_VALUES: Final = 40 * BATCH_SIZE
_MOST_DIMENSIONS: Final = 2
_NOT_HERE: Final = ("shared_memory_region", "classification")

Parameters = dict[str, Any]


def _known(**schemas: dict[str, Any]) -> WithJsonSchema:
    """Return what the document says of ``parameters``: others than these are passed over."""
    return WithJsonSchema({"anyOf": [{"type": "object", "properties": schemas}, {"type": "null"}]})


_SWITCH: Final = {"type": "boolean"}


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class TensorIn(_Wire):
    """An input of n rows, of the shape ``[n]`` or ``[n, 1]``.

    ``name`` is a feature of the model, as its metadata list them, or one of ``name``, ``country``
    and ``province``. An input has ``data``, or ``binary_data_size`` among its parameters.
    """

    name: str
    # What is refused in words of our own is narrower in the document than for pydantic.
    shape: Annotated[
        list[Annotated[int, Field(ge=0)]],
        Field(
            min_length=1,
            max_length=_MOST_DIMENSIONS,
            json_schema_extra={"items": {"type": "integer", "minimum": 1, "maximum": BATCH_SIZE}},
        ),
    ]
    datatype: Annotated[str, Field(json_schema_extra={"enum": [FP64, INT64, BYTES]})]
    data: list[Any] | None = None
    parameters: Annotated[
        Parameters | None, _known(binary_data_size={"type": "integer", "minimum": 0})
    ] = None


class RequestedIn(_Wire):
    """An output that the client wants."""

    name: str
    parameters: Annotated[Parameters | None, _known(binary_data=_SWITCH)] = None


class InferIn(_Wire):
    """Rows to be scored: one input for each feature, all with the same number of rows.

    With ``store`` among the parameters the rows are stored, too; then ``name``, ``country`` and
    ``province`` must be inputs. Without ``outputs`` all of them are answered.
    """

    id: str | None = None
    parameters: Annotated[Parameters | None, _known(store=_SWITCH, binary_data_output=_SWITCH)] = (
        None
    )
    inputs: Annotated[list[TensorIn], Field(min_length=1, max_length=len(DATATYPES) + MOST_FURTHER)]
    outputs: list[RequestedIn] | None = None


class Output(NamedTuple):
    """An output of N rows. ``values`` are of its ``datatype``; ``binary`` is how it is sent."""

    name: str
    datatype: str
    values: Sequence[Any]
    binary: bool = False


def wrong(pointer: str, detail: str, code: str = "invalid_tensor") -> InvalidRequest:
    """Return the error of one thing that is wrong with a request."""
    return InvalidRequest([FieldProblem(pointer=pointer, detail=detail, code=code)])


def read_request(body: bytes, length: bytes | None) -> tuple[InferIn, bytes]:
    """Return the request and its binary data. ``length`` is that of the JSON; None for all of it.

    Raises ``HTTPException`` 400 if the body has no such length or begins with no JSON, and
    ``InvalidRequest`` if that is no request, or has more values than the largest one.
    """
    document, binary = body, b""
    if length is not None:
        # More digits than any length has would take a while to read.
        if not length.isdigit() or len(length) > len(str(len(body))) or int(length) > len(body):
            raise HTTPException(
                HTTPStatus.BAD_REQUEST,
                "Inference-Header-Content-Length must be the length of the body's JSON in bytes.",
            )
        document, binary = body[: int(length)], body[int(length) :]
    containers = document.count(b"{") + document.count(b"[")
    if containers > _MOST_CONTAINERS or document.count(b",") > _MOST_VALUES:
        raise wrong("/inputs", f"must have at most {BATCH_SIZE} rows", "too_long")
    return parse(InferIn, document), binary


def read_patients(
    inputs: Sequence[TensorIn],
    binary: bytes,
    may_be_missing: Sequence[str],
    needed: Iterable[str] = (),
    further: Further = (),
) -> list[Patient]:
    """Return the N patients of the rows of ``inputs``, with the model's ``further`` features.

    ``may_be_missing`` names the measurements that the model can do without: their inputs may be
    left out, and NaN or null is missing there. ``needed`` names inputs that this request needs
    besides the features. Raises ``InvalidRequest``.
    """
    columns = _complete(_columns(inputs, binary, further), may_be_missing, needed, further)
    names = tuple(columns)
    patients: list[Patient] = []
    problems: list[FieldProblem] = []
    for row, values in enumerate(zip(*columns.values(), strict=True)):
        try:
            fields = dict(zip(names, values, strict=True))
            own = {each.name: fields.pop(each.name) for each in further}
            patient = _patient_of(fields, may_be_missing)
            patients.append(extended(patient, values_of(further, own)))
        except InvalidPatient as error:
            problems += [
                FieldProblem(
                    pointer=f"/inputs/{each.field}/{row}", detail=each.reason, code="implausible"
                )
                for each in error.violations
            ]
            if len(problems) >= MOST_PROBLEMS:
                break
    if problems:
        raise InvalidRequest(problems)
    return patients


def _complete(
    columns: dict[str, list[Any]],
    may_be_missing: Sequence[str],
    needed: Iterable[str],
    further: Further,
) -> dict[str, list[Any]]:
    """Return columns of one length, with one for each feature, or raise ``InvalidRequest``."""
    optional = [*may_be_missing, *(each.name for each in further if each.may_be_missing)]
    for name in (*RAW_FEATURES, *(each.name for each in further), *needed):
        if name not in columns and name not in optional:
            raise wrong(f"/inputs/{name}", "is required", "missing")
    count = len(next(iter(columns.values())))
    if any(len(values) != count for values in columns.values()):
        raise wrong("/inputs", "must all have the same number of rows")
    gaps = (*OPTIONAL, *(each.name for each in further))
    return {**{name: [None] * count for name in gaps}, **columns}


def _patient_of(fields: Mapping[str, Any], may_be_missing: Sequence[str]) -> Patient:
    patient = Patient(**fields)
    if patient.missing and (lacks := lacking(patient.missing, may_be_missing)):
        raise InvalidPatient(lacks)
    return patient


def render(head: Mapping[str, Any], outputs: Sequence[Output]) -> tuple[bytes, int | None]:
    """Return an answer and, if data follow its JSON, the JSON's length in bytes."""
    described, data = [], []
    for output in outputs:
        tensor: dict[str, Any] = {
            "name": output.name,
            "datatype": output.datatype,
            "shape": [len(output.values)],
        }
        if output.binary:
            part = _bytes_of(output)
            data.append(part)
            tensor["parameters"] = {"binary_data_size": len(part)}
        else:
            tensor["data"] = output.values
        described.append(tensor)
    document = rendered({**head, "outputs": described})
    return b"".join([document, *data]), len(document) if data else None


def datatypes_of(further: Further) -> dict[str, str]:
    """Return the datatype of each input of a model with ``further`` features; no texts."""
    known = {name: datatype for name, datatype in DATATYPES.items() if name not in TEXTS}
    return known | {each.name: _FURTHER_TYPES[each.kind] for each in further}


def _columns(inputs: Sequence[TensorIn], binary: bytes, further: Further) -> dict[str, list[Any]]:
    """Return the values of each input by its name, as far as their form can say."""
    datatypes = {**datatypes_of(further), **dict.fromkeys(TEXTS, BYTES)}
    declared = {each.name: each for each in further}
    columns: dict[str, list[Any]] = {}
    begin = 0
    for at, tensor in enumerate(inputs):
        where = f"/inputs/{at}"
        count = _rows_of(tensor, where, datatypes)
        if tensor.name in columns:
            raise wrong(where, "comes twice")
        parameters = tensor.parameters or {}
        refuse_parameters(parameters, where)
        size = parameters.get("binary_data_size")
        if size is None:
            values = _listed(tensor, count, where)
        else:
            if tensor.data is not None:
                raise wrong(where, "must have either data or binary_data_size")
            if type(size) is not int or not 0 <= size <= len(binary) - begin:
                raise wrong(where, "has a binary_data_size that the body has not")
            values = _unpacked(tensor.datatype, binary[begin : begin + size], count, where)
            begin += size
        columns[tensor.name] = _native(tensor.name, values, declared.get(tensor.name))
    if begin != len(binary):
        raise wrong("/inputs", "leave a part of the binary data over")
    return columns


def refuse_parameters(parameters: Parameters, where: str) -> None:
    """Raise ``InvalidRequest`` for an extension of the protocol that would change the answer."""
    for each in _NOT_HERE:
        if each in parameters:
            raise wrong(f"{where}/parameters/{each}", "is not supported")


def _rows_of(tensor: TensorIn, where: str, datatypes: Mapping[str, str]) -> int:
    """Return how many rows an input has, by its name, datatype and shape."""
    wanted = datatypes.get(tensor.name)
    if wanted is None:
        raise wrong(f"{where}/name", f"must be one of {', '.join(datatypes)}")
    if tensor.datatype != wanted and (wanted == BYTES or tensor.datatype not in (FP64, INT64)):
        raise wrong(f"{where}/datatype", f"must be {wanted}")
    count, *others = tensor.shape
    if not 1 <= count <= BATCH_SIZE or others not in ([], [1]):
        raise wrong(f"{where}/shape", f"must be [n] or [n, 1] with 1 to {BATCH_SIZE} rows")
    return count


def _listed(tensor: TensorIn, count: int, where: str) -> list[Any]:
    """Return the values of a tensor in JSON, flat or as nested as its shape."""
    values = tensor.data
    if values is None:
        raise wrong(where, "needs data, or binary_data_size")
    if len(tensor.shape) == _MOST_DIMENSIONS and all(
        isinstance(each, list) and len(each) == 1 for each in values
    ):
        values = [each[0] for each in values]
    if len(values) != count:
        raise wrong(f"{where}/data", "must have as many values as the shape says")
    if tensor.datatype == INT64 and any(type(each) is not int for each in values):
        raise wrong(f"{where}/data", "must be whole numbers")
    return values


def _unpacked(datatype: str, part: bytes, count: int, where: str) -> list[Any]:
    if datatype != BYTES:
        if len(part) != count * _NUMBER_BYTES:
            raise wrong(where, "must have 8 bytes for each value of its shape")
        values: list[Any] = np.frombuffer(part, "<f8" if datatype == FP64 else "<i8").tolist()
        return values
    values, begin = [], 0
    while begin < len(part) and len(values) < count:
        start = begin + _LENGTH.size
        if start > len(part) or (end := start + _LENGTH.unpack_from(part, begin)[0]) > len(part):
            raise wrong(where, "has a text that is longer than its data")
        try:
            values.append(part[start:end].decode())
        except UnicodeDecodeError:
            raise wrong(f"{where}/{len(values)}", "must be text in UTF-8") from None
        begin = end
    if begin != len(part) or len(values) != count:
        raise wrong(where, "must have as many texts as its shape says")
    return values


def _native(name: str, values: list[Any], declared: FurtherFeature | None) -> list[Any]:
    """Return values as a patient has them: whole flags, and None for a missing measurement."""
    if declared is not None:
        if declared.is_text:  # whose gaps have no other form in this protocol
            return [None if each == "" else each for each in values]
        return [None if each != each else each for each in values]  # noqa: PLR0124 - only NaN does
    if name in _FLAGS:
        return [each if (flag := flag_of(each)) is None else flag for each in values]
    if name in OPTIONAL:
        return [None if each != each else each for each in values]  # noqa: PLR0124 - only NaN does
    return values


def _bytes_of(output: Output) -> bytes:
    if output.datatype != BYTES:
        return np.asarray(output.values, "<f8" if output.datatype == FP64 else "<i8").tobytes()
    texts = [str(each).encode() for each in output.values]
    return b"".join(part for each in texts for part in (_LENGTH.pack(len(each)), each))
