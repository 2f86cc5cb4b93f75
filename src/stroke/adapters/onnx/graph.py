"""A graph that onnxruntime runs: which features it takes, and how they are fed to it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from stroke.adapters.onnx.deadlines import DEADLINES
from stroke.adapters.onnx.inspection import check_self_contained
from stroke.domain.errors import InvalidModel
from stroke.domain.features import (
    AGE_GROUPS,
    BMI_CATEGORIES,
    ENGINEERED_FEATURES,
    FEATURES,
    GLUCOSE_CATEGORIES,
    TEXT_FEATURES,
    Bands,
)
from stroke.domain.further import FeatureKind, Further, FurtherFeature

Columns = Mapping[str, NDArray[Any]]

_DTYPES: Final[dict[str, type]] = {
    "tensor(string)": np.object_,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
}
PROBABILITY: Final = "probability"
CONTRIBUTIONS: Final = "contributions"
INTERVAL: Final = "interval"
LEVERAGE: Final = "leverage"


class Certainty(NamedTuple):
    """How sure the graph is of N patients: ``interval (N, 2)``, and ``leverage (N,)``."""

    interval: NDArray[np.float64]
    leverage: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GraphLimits:
    """What a graph may take: its file's size, the memory of all runs at once, one run's time."""

    file_bytes: int = 256 << 20
    memory_bytes: int = 2 << 30
    run_seconds: float = 60


class Graph:
    """One loaded graph. ``run`` may be called from several threads at once.

    It may take the ``further`` features, which its model declares. Raises ``InvalidModel`` for a
    graph that breaks the contract, naming the offending part.
    """

    def __init__(
        self, content: bytes, limits: GraphLimits | None = None, further: Further = ()
    ) -> None:
        self._limits = limits or GraphLimits()
        if len(content) > self._limits.file_bytes:
            raise InvalidModel(
                f"the graph has {len(content):,} bytes, more than the {self._limits.file_bytes:,} "
                "that are allowed (STROKE_MODEL_MAX_FILE_BYTES)"
            )
        check_self_contained(content)
        _bound_memory(self._limits.memory_bytes)
        options = ort.SessionOptions()
        options.add_session_config_entry("session.use_env_allocators", "1")
        # A process scores one batch at a time; more threads than one only cost hand-overs.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise InvalidModel(_why(error, "onnxruntime cannot load the graph")) from error
        declared = {each.name: each for each in further}
        self._dtypes = {
            put.name: _dtype(put, declared.get(put.name)) for put in self._session.get_inputs()
        }
        outputs = [put.name for put in self._session.get_outputs()]
        self._wanted = [_probability_output(outputs)]
        self.explains = CONTRIBUTIONS in outputs
        if self.explains:
            self._wanted.append(CONTRIBUTIONS)
        self.is_certain = {INTERVAL, LEVERAGE} <= set(outputs)
        """Whether it says how sure it is; ``run_with_certainty`` may be called then."""
        self._derived = [name for name in self._dtypes if name in ENGINEERED_FEATURES]

    @property
    def features(self) -> tuple[str, ...]:
        """The features that the graph takes, in its own order."""
        return tuple(self._dtypes)

    def run(self, columns: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return probabilities ``(N,)`` and the contributions ``(N, k)`` if the graph gives any.

        Raises ``InvalidModel`` when the graph fails on them, or gives no probabilities.

        ``columns`` holds the raw and the further features, ``(N,)`` each: text as objects, numbers
        as float64. NaN is a missing measurement, which no engineered feature that the graph takes
        is made of.
        """
        probability, *contributions = self._outputs(columns, self._wanted)
        return _positive(probability), (
            contributions[0].astype(np.float64, copy=False) if contributions else None
        )

    def probability(self, columns: Columns) -> NDArray[np.float64]:
        """Return the probabilities ``(N,)`` of ``run``, and compute nothing else."""
        return _positive(self._outputs(columns, self._wanted[:1])[0])

    def run_with_certainty(
        self, columns: Columns
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, Certainty]:
        """Return what ``run`` does and how sure the graph is, from one run.

        Raises ``InvalidModel`` as ``run`` does. Whether an interval holds its probability is left
        to the caller: one patient's is checked in a tenth of the time that arrays take.
        """
        *answered, interval, leverage = self._outputs(columns, [*self._wanted, INTERVAL, LEVERAGE])
        probability = _positive(answered[0])
        if interval.shape != (len(probability), 2) or leverage.size != len(probability):
            raise InvalidModel("the graph does not give one interval and leverage per patient")
        contributions = answered[1].astype(np.float64, copy=False) if self.explains else None
        certainty = Certainty(interval.astype(np.float64, copy=False), leverage.reshape(-1))
        return probability, contributions, certainty

    def _outputs(self, columns: Columns, names: list[str]) -> list[Any]:
        derived = engineered(columns, self._derived) if self._derived else {}
        feed: dict[str, NDArray[Any]] = {
            name: (derived[name] if name in derived else columns[name])
            .astype(dtype, copy=False)
            .reshape(-1, 1)
            for name, dtype in self._dtypes.items()
        }
        try:
            with DEADLINES.run(self._limits.run_seconds) as options:
                return list(self._session.run(names, feed, options))
        except Exception as error:  # noqa: BLE001 - they have no ancestor, and may quote a value
            raise InvalidModel(_why(error, "the graph fails on these patients")) from None


_memory_lock: Final = threading.Lock()
_memory_bounded = False


def _bound_memory(most: int) -> None:
    """Give all graphs of this process one arena of ``most`` bytes at most; only once."""
    global _memory_bounded  # noqa: PLW0603 - onnxruntime's environment is one per process
    with _memory_lock:
        if _memory_bounded:
            return
        where = ort.OrtMemoryInfo(
            "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
        )
        # Initial and dead bytes, and the way to extend: as onnxruntime has them without us.
        ort.create_and_register_allocator(where, ort.OrtArenaCfg(most, -1, -1, -1))
        _memory_bounded = True


def _why(error: Exception, otherwise: str) -> str:
    """Return what onnxruntime's error means, without the text, which may quote a value."""
    text = str(error)
    if "terminate flag" in text:
        return "the graph takes too long (STROKE_MODEL_RUN_SECONDS): it loops, or it is too slow"
    if any(mark in text for mark in ("bad_alloc", "allocate memory", "Available memory")):
        return "the graph needs too much memory (STROKE_MODEL_MEMORY_BYTES)"
    return otherwise


def engineered(columns: Columns, wanted: list[str]) -> dict[str, NDArray[Any]]:
    """Return the ``wanted`` engineered features; the vectorised twin of ``domain.engineer``."""
    made: dict[str, NDArray[Any]] = {}
    for name, source, bands in (
        ("age_group", "age", AGE_GROUPS),
        ("bmi_category", "bmi", BMI_CATEGORIES),
        ("glucose_category", "avg_glucose_level", GLUCOSE_CATEGORIES),
    ):
        if name in wanted:
            made[name] = _labels(bands, columns[source])
    if "age_hypertension" in wanted:
        made["age_hypertension"] = columns["age"] * columns["hypertension"]
    return made


def _labels(bands: Bands, values: NDArray[np.float64]) -> NDArray[Any]:
    found: NDArray[Any] = np.array(bands.labels, dtype=object)[
        np.searchsorted(bands.cuts, values, side="right")
    ]
    return found


def _dtype(put: Any, declared: FurtherFeature | None) -> type:
    if declared is None and put.name not in FEATURES:
        raise InvalidModel(
            f"the graph asks for {put.name!r}, which is no known feature: if it is one of its own, "
            "declare it (--features)"
        )
    dtype = _DTYPES.get(put.type)
    is_text = put.name in TEXT_FEATURES if declared is None else declared.is_text
    fits = (dtype is np.object_) == is_text
    if dtype is np.int64:  # a measurement would lose its fraction, and a gap has no integer
        fits = put.name in ("hypertension", "heart_disease") or (
            declared is not None
            and declared.kind is FeatureKind.FLAG
            and not declared.may_be_missing
        )
    if dtype is None or not fits:
        raise InvalidModel(f"the graph takes {put.name!r} as {put.type}, which it is not")
    if len(put.shape) != 2 or put.shape[1] != 1:  # noqa: PLR2004 - [N, 1]
        raise InvalidModel(f"the graph takes {put.name!r} in the shape {put.shape}, not [N, 1]")
    return dtype


def _probability_output(outputs: list[str]) -> str:
    for name in (PROBABILITY, "probabilities", "output_probability"):  # the latter: skl2onnx's
        if name in outputs:
            return name
    raise InvalidModel(f"the graph gives no probability, only {', '.join(outputs)}")


def _positive(output: Any) -> NDArray[np.float64]:
    """Return the probability of a stroke from ``[N, 1]``, ``[N, 2]`` or a list of mappings."""
    if isinstance(output, list):  # skl2onnx's ZipMap
        output = np.array([[row[label] for label in sorted(row)] for row in output])
    table = output.reshape(len(output), -1)
    probability: NDArray[np.float64] = table[:, -1].astype(np.float64, copy=False)
    if table.shape[1] > 2 or not ((probability >= 0) & (probability <= 1)).all():  # noqa: PLR2004
        raise InvalidModel("the graph does not give one probability of a stroke per patient")
    return probability
