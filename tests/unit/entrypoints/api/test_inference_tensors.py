"""The tensors of the Open Inference Protocol, for whatever bytes come."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from builders.inference import DATATYPES, framed, inputs, packed
from builders.patients import PATIENTS, TEXTS
from stroke.domain.patient import Patient
from stroke.entrypoints.api.inference_tensors import Output, read_patients, read_request, render
from stroke.entrypoints.api.violations import InvalidRequest

LENGTH = "Inference-Header-Content-Length"


def read(body: bytes, length: str | None, may_be_missing: tuple[str, ...] = ()) -> list[Patient]:
    asked, binary = read_request(body, None if length is None else length.encode())
    return read_patients(asked.inputs, binary, may_be_missing)


@given(rows=st.lists(PATIENTS, min_size=1, max_size=5), order=st.permutations(list(DATATYPES)))
def test_what_is_written_is_read_in_any_order_of_the_tensors_in_both_forms(
    rows: list[Patient], order: list[str]
) -> None:
    columns = {name: [getattr(each, name) for each in rows] for name in order}
    tensors = inputs(len(rows), order, **columns)
    body, headers = framed(tensors)
    assert read(body, headers[LENGTH]) == rows
    assert read(json.dumps({"inputs": tensors}).encode(), None) == rows


@given(data=st.data())
def test_a_body_that_was_cut_or_has_more_at_its_end_is_refused(data: st.DataObject) -> None:
    body, headers = framed(inputs(2))
    length = int(headers[LENGTH])
    end = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises((InvalidRequest, HTTPException)):
        read(body[:end], str(min(length, end)))
    with pytest.raises((InvalidRequest, HTTPException)):
        read(body + data.draw(st.binary(min_size=1, max_size=9)), headers[LENGTH])


@given(
    binary=st.binary(max_size=200),
    size=st.integers() | st.booleans() | st.none(),
    at=st.sampled_from(list(DATATYPES)[:7]),
    shape=st.lists(st.integers(0, 2**70), max_size=3),
)
def test_no_bytes_and_no_sizes_end_in_anything_but_patients_or_a_refusal(
    binary: bytes, size: Any, at: str, shape: list[int]
) -> None:
    tensors: list[dict[str, Any]] = inputs(1)
    for each in tensors:
        if each["name"] == at:
            del each["data"]
            each |= {"shape": shape, "parameters": {"binary_data_size": size}}
    document = json.dumps({"inputs": tensors}).encode()
    # Any other error ends the test.
    try:
        found = read(document + binary, str(len(document)))
    except InvalidRequest:
        return
    assert len(found) == 1


@given(length=st.integers(0, 2**32 - 1), rest=st.binary(max_size=40))
def test_a_text_is_never_read_past_its_data(length: int, rest: bytes) -> None:
    assume(length != len(rest))
    data = struct.pack("<I", length) + rest
    tensors: list[dict[str, Any]] = inputs(1)
    tensors[0] = {
        "name": "gender",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"binary_data_size": len(data)},
    }
    document = json.dumps({"inputs": tensors}).encode()
    with pytest.raises(InvalidRequest) as caught:
        read(document + data, str(len(document)))
    assert {each.pointer for each in caught.value.problems} <= {"/inputs/0", "/inputs/0/0"}


@given(value=st.floats() | st.integers(-(2**63), 2**63 - 1))
def test_a_number_is_in_its_range_or_refused_by_its_row(value: float) -> None:
    kind = "FP64" if isinstance(value, float) else "INT64"
    tensors = [
        {**each, "datatype": kind, "data": [45, value] if kind == "INT64" else [45.0, value]}
        if each["name"] == "age"
        else each
        for each in inputs(2)
    ]
    body, headers = framed(tensors)
    if 0 <= value <= 120:
        assert [each.age for each in read(body, headers[LENGTH])] == [45, value]
        return
    with pytest.raises(InvalidRequest) as caught:
        read(body, headers[LENGTH])
    assert [each.pointer for each in caught.value.problems] == ["/inputs/age/1"]


def test_text_that_is_no_utf_8_is_refused_by_its_row() -> None:
    good, bad = packed("BYTES", ["Male"]), struct.pack("<I", 2) + b"\xff\xfe"
    tensors: list[dict[str, Any]] = inputs(2)
    tensors[0] = {
        "name": "gender",
        "datatype": "BYTES",
        "shape": [2],
        "parameters": {"binary_data_size": len(good + bad)},
    }
    document = json.dumps({"inputs": tensors}).encode()
    with pytest.raises(InvalidRequest) as caught:
        read(document + good + bad, str(len(document)))
    assert [each.pointer for each in caught.value.problems] == ["/inputs/0/1"]


@pytest.mark.parametrize("filler", [b"[],", b"0,", b"{},"])
def test_more_values_than_the_largest_request_has_are_refused_before_they_are_made(
    filler: bytes,
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(b'{"inputs": [' + filler * 500_000 + b"0]}", None)
    assert caught.value.problems[0].code == "too_long"


@given(
    numbers=st.lists(st.floats(allow_nan=False), max_size=5),
    words=st.lists(TEXTS, max_size=5),
    binary=st.booleans(),
)
def test_what_is_rendered_has_the_lengths_that_it_says(
    numbers: list[float], words: list[str], *, binary: bool
) -> None:
    outputs = [Output("a", "FP64", numbers, binary), Output("b", "BYTES", words, binary)]
    body, length = render({"model_name": "m"}, outputs)
    document = json.loads(body if length is None else body[:length])
    assert (length is not None) is binary
    if not binary:
        return
    sizes = [each["parameters"]["binary_data_size"] for each in document["outputs"]]
    assert body[length:] == packed("FP64", numbers) + packed("BYTES", words)
    assert sizes == [8 * len(numbers), len(packed("BYTES", words))]
