"""Requests of the Open Inference Protocol, as a client would write them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from builders.predictions import patient_json

DATATYPES = {
    "gender": "BYTES",
    "age": "FP64",
    "hypertension": "INT64",
    "heart_disease": "INT64",
    "avg_glucose_level": "FP64",
    "bmi": "FP64",
    "smoking_status": "BYTES",
    "name": "BYTES",
    "country": "BYTES",
    "province": "BYTES",
}
FEATURES = tuple(DATATYPES)[:7]


def tensor(name: str, values: Sequence[Any], **changes: Any) -> dict[str, Any]:
    """Return an input whose values are in the JSON."""
    return {
        "name": name,
        "datatype": DATATYPES[name],
        "shape": [len(values)],
        "data": list(values),
        **changes,
    }


def inputs(rows: int = 1, names: Sequence[str] = FEATURES, **values: Any) -> list[dict[str, Any]]:
    """Return the inputs of ``rows`` patients who are alike, but for columns of ``values``."""
    one = patient_json()
    return [tensor(name, values.get(name, [one[name]] * rows)) for name in names]


def packed(datatype: str, values: Sequence[Any]) -> bytes:
    """Return the values of a tensor as the binary data extension has them."""
    if datatype != "BYTES":
        kind = "d" if datatype == "FP64" else "q"
        return struct.pack(f"<{len(values)}{kind}", *values)
    texts = [each.encode() for each in values]
    return b"".join(struct.pack("<I", len(each)) + each for each in texts)


def framed(tensors: Sequence[Mapping[str, Any]], **members: Any) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a request with all of its data behind the JSON."""
    described, data = [], b""
    for each in tensors:
        part = packed(each["datatype"], each["data"])
        data += part
        kept = {key: value for key, value in each.items() if key != "data"}
        described.append({**kept, "parameters": {"binary_data_size": len(part)}})
    document = json.dumps({"inputs": described, **members}).encode()
    return document + data, {"Inference-Header-Content-Length": str(len(document))}
