"""Models that loop, allocate, crash or fail for someone: what is refused, and what stays whole."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from builders.graphs import constant, graph_of, loop, node, sound
from components.processes import run_stroke
from stroke.adapters.onnx.graph import Graph, GraphLimits
from stroke.domain.errors import InvalidModel

SMALL = {"STROKE_MODEL_MEMORY_BYTES": str(256 << 20)}
SHORT = {"STROKE_MODEL_IMPORT_SECONDS": "2"}
ALWAYS = [node("Identity", "yes", "first")]
YES = constant("yes", True, bool)
GOES_ON = node("Identity", "before", "again")


def from_110(flag: str) -> list[Any]:
    """Return nodes that make ``flag``: whether one of the batch is 110 years old or older."""
    return [
        node("ReduceMax", "age", "oldest", keepdims=0),
        node("GreaterOrEqual", "oldest limit", flag),
    ]


def table_of(entries: int) -> Any:
    """Return a model that looks the age up in a table of so many years."""
    return graph_of(
        [
            node("Cast", "age", "year", to=7),
            node("Gather", "table year", "found"),
            node("Reshape", "found shape", "log_odds"),
        ],
        [constant("table", np.linspace(-6, 0, entries)), constant("shape", [-1, 1], np.int64)],
    )


BAD = {
    "loops": (
        loop([node("Identity", "state", "next"), GOES_ON], go_on=ALWAYS, constants=[YES]),
        "stopped after 2 s",
    ),
    "loops for the very old": (
        loop(
            [node("Identity", "state", "next"), GOES_ON],
            go_on=from_110("first"),
            constants=[constant("limit", 110.0)],
        ),
        "stopped after 2 s",
    ),
    "allocates": (
        graph_of(
            [
                node("ConstantOfShape", "size", "zeros"),
                node("ReduceSum", "zeros", "sum", keepdims=0),
                node("Cast", "sum", "none", to=11),
                node("Add", "age none", "log_odds"),
            ],
            [constant("size", [1 << 33], np.int64)],
        ),
        "too much memory",
    ),
    "allocates round after round": (
        loop(
            [node("Concat", "state state", "next", axis=0), GOES_ON],
            go_on=ALWAYS,
            constants=[YES],
        ),
        "too much memory",
    ),
    "fails at 110": (table_of(110), "fails on these patients"),
    "fails at the last year": (table_of(120), "fails on these patients"),
    "gives no number": (
        graph_of(
            [node("Sub", "most bmi", "left"), node("Log", "left", "log_odds")],
            [constant("most", 99.9)],
            features=("bmi",),
        ),
        "does not give one probability",
    ),
    "depends on the batch": (
        graph_of(
            [
                node("ReduceMean", "age", "mean", keepdims=1),
                node("Sub", "age mean", "a"),
                node("Mul", "a factor", "log_odds"),
            ],
            [constant("factor", 0.1)],
        ),
        "depends on the other patients",
    ),
    "is a game of chance": (
        graph_of(
            [
                node("RandomNormalLike", "age", "noise", dtype=11),
                node("Mul", "noise factor", "log_odds"),
            ],
            [constant("factor", 1e-8)],
        ),
        "another answer each time",
    ),
}  # fmt: skip


def calling(name: str, callee: str, domain: str = "our") -> Any:
    """Return a function of a graph that calls another one eight times."""
    names = ["x", *(f"t{at}" for at in range(7)), "y"]
    calls = [node(callee, before, after, domain=domain) for before, after in pairwise(names)]
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("our", 1)]
    return helper.make_function("our", name, ["x"], ["y"], calls, opsets)


def by_functions(*functions: Any) -> Any:
    """Return a model of the age after the last of these functions."""
    return graph_of(
        [
            node(functions[-1].name, "age", "a", domain="our"),
            node("Mul", "a factor", "log_odds"),
        ],
        [constant("factor", 0.01)],
        domains=["our"],
        functions=functions,
    )


# What onnxruntime refuses itself, or never ends to unfold.
WORSE = {
    "a function of itself": (by_functions(calling("F", "F")), "cannot load the graph"),
    "functions of functions, in loops": (
        by_functions(
            calling("F0", "Identity", ""), *(calling(f"F{n}", f"F{n - 1}") for n in range(1, 12))
        ),
        "stopped after 2 s",
    ),
    "a constant without its data": (
        graph_of(
            [node("Mul", "age factor", "log_odds")],
            [TensorProto(name="factor", data_type=TensorProto.DOUBLE, dims=[1 << 40])],
        ),
        "cannot load the graph",
    ),
    "a size below nothing": (
        graph_of(
            [node("Mul", "age factor", "log_odds")],
            [
                TensorProto(
                    name="factor", data_type=TensorProto.DOUBLE, dims=[-5], raw_data=bytes(8)
                )
            ],
        ),
        "cannot load the graph",
    ),
}


def contents(folder: Path) -> dict[str, str]:
    """Return every file under ``folder`` with its sum."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a model store with one model, called mine."""
    (tmp_path / "sound.onnx").write_bytes(sound().SerializeToString())
    done = run_stroke("model", "import", "sound.onnx", "-n", "mine", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / "models"


@pytest.mark.parametrize("name", BAD)
def test_a_graph_that_does_harm_is_refused_and_the_store_stays(name: str, store: Path) -> None:
    _refused(*BAD[name], store, SHORT if "loops" in name else {})


@pytest.mark.soak("graphs that onnxruntime refuses itself, or unfolds without end")
@pytest.mark.parametrize("name", WORSE)
def test_a_graph_that_unfolds_without_end_is_refused_and_the_store_stays(
    name: str, store: Path
) -> None:
    _refused(*WORSE[name], store, SHORT if "loops" in name else {})


def _refused(model: Any, reason: str, store: Path, settings: dict[str, str]) -> None:
    (store.parent / "bad.onnx").write_bytes(model.SerializeToString())
    before = contents(store)
    began = time.monotonic()
    done = run_stroke(
        "model", "import", "bad.onnx", "-n", "mine", "--replace",
        folder=store.parent, settings={**SMALL, **settings},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("stroke: bad.onnx: "), done.stderr
    assert reason in done.stderr
    assert time.monotonic() - began < 60
    assert contents(store) == before


def test_a_table_that_has_every_age_is_taken(tmp_path: Path) -> None:
    (tmp_path / "good.onnx").write_bytes(table_of(121).SerializeToString())
    done = run_stroke("model", "import", "good.onnx", "-n", "good", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_file_that_is_too_large_is_refused(store: Path) -> None:
    before = contents(store)
    for name in ("large.onnx", "large.pkl"):
        (store.parent / name).write_bytes(bytes(5000))
        done = run_stroke(
            "model", "import", name, "-n", "mine", "--replace", "--trust-pickle",
            folder=store.parent, settings={"STROKE_MODEL_MAX_FILE_BYTES": "4096"},
        )  # fmt: skip
        assert done.returncode == 1
        assert "STROKE_MODEL_MAX_FILE_BYTES" in done.stderr
    assert contents(store) == before


class Harmful:
    """Does something when it is unpickled."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self._code,)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("while True: pass", "stopped after 2 s"),
        ("import os; os._exit(7)", "exit code 7"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import time; x = [bytearray(1 << 28) for _ in range(1 << 10)]", "memory"),
        ("import os; raise SystemExit(str(dict(os.environ)))", "exit code 1"),
        ("import os; assert 'MYSQL_PASSWORD' not in os.environ; raise KeyError", "KeyError"),
    ],
    ids=["loops", "ends", "aborts", "allocates", "prints", "looks for secrets"],
)
def test_a_pickle_that_does_harm_is_refused_and_the_store_stays(
    code: str, reason: str, store: Path
) -> None:
    (store.parent / "bad.pkl").write_bytes(pickle.dumps(Harmful(code)))
    before = contents(store)
    limits = (
        SHORT if code.startswith("while") else {"STROKE_MODEL_IMPORT_MEMORY_BYTES": str(2 << 30)}
    )
    done = run_stroke(
        "model", "import", "bad.pkl", "-n", "mine", "--replace", "--trust-pickle",
        folder=store.parent, settings={**limits, "MYSQL_PASSWORD": "not-to-be-seen"},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert reason in done.stderr
    assert "not-to-be-seen" not in done.stdout + done.stderr
    assert contents(store) == before


def test_a_bare_graph_is_tried_before_it_is_served(tmp_path: Path) -> None:
    model, reason = BAD["fails at 110"]
    (tmp_path / "bare.onnx").write_bytes(model.SerializeToString())
    done = run_stroke("serve", folder=tmp_path, settings={"SAVED_MODEL": "bare.onnx"})
    assert done.returncode == 1
    assert reason in done.stderr


def test_a_served_graph_that_takes_too_long_is_ended_and_the_next_run_is_fine() -> None:
    model, _ = BAD["loops for the very old"]
    graph = Graph(model.SerializeToString(), GraphLimits(run_seconds=0.5))
    with pytest.raises(InvalidModel, match="takes too long"):
        graph.run({"age": np.array([115.0])})
    probability, _ = graph.run({"age": np.array([60.0])})
    assert 0 < probability[0] < 1


def test_a_served_graph_cannot_take_more_memory_than_it_may(tmp_path: Path) -> None:
    file = tmp_path / "large.onnx"
    file.write_bytes(BAD["allocates round after round"][0].SerializeToString())
    code = (  # onnxruntime's memory is bounded once in a process, so this needs one of its own
        "import pathlib, re, sys, numpy\n"
        "from stroke.adapters.onnx.graph import Graph, GraphLimits\n"
        "from stroke.domain.errors import InvalidModel\n"
        "graph = Graph(open(sys.argv[1], 'rb').read(), GraphLimits(memory_bytes=1 << 28))\n"
        "try: graph.run({'age': numpy.array([50.0])})\n"
        "except InvalidModel as refusal: print(refusal)\n"
        # ru_maxrss has the peak of the process that started this one in it.
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True
    )
    refusal, peak = done.stdout.splitlines()
    assert "too much memory" in refusal
    assert int(peak) * 1024 < 600 << 20
