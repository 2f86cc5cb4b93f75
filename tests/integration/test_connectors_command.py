"""`stroke connectors` on the whole platform."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.change_events import until
from components.containers import ROOT
from components.stack import S3_SINK, SOURCE, SQL_SINK, PipelineStack

_ALL = [SQL_SINK, S3_SINK, SOURCE]


def stored(pipeline: PipelineStack, name: str) -> dict[str, str]:
    found: dict[str, str] = httpx.get(
        f"{pipeline.connect_url}/connectors/{name}/config", timeout=10
    ).json()
    return found


def status(pipeline: PipelineStack) -> tuple[int, dict[str, Any]]:
    done = pipeline.stroke("connectors", "status", "--json")
    return done.returncode, {one["name"]: one for one in json.loads(done.stdout)["connectors"]}


def states_in_status(pipeline: PipelineStack) -> list[str]:
    """Return what `stroke connectors status` says of the source's tasks."""
    return [task["state"] for task in status(pipeline)[1][SOURCE]["tasks"]]


def restarts(pipeline: PipelineStack, name: str) -> float:
    """Return what the stack's own watch has counted."""
    metrics = httpx.get(f"http://127.0.0.1:{pipeline.ports['watch']}/metrics", timeout=10).text
    prefix = f'stroke_connector_restarts_total{{connector="{name}"}} '
    [line] = [line for line in metrics.splitlines() if line.startswith(prefix)]
    return float(line.removeprefix(prefix))


def states(pipeline: PipelineStack, name: str) -> list[str]:
    """Return what Connect itself says of a connector and of its tasks.

    Tests wait by this: a command line for each look would take the time of what they wait for.
    """
    found = httpx.get(f"{pipeline.connect_url}/connectors/{name}/status", timeout=10)
    if found.status_code != httpx.codes.OK:  # while its workers share out the tasks anew
        return []
    answer = found.json()
    return [one["state"] for one in (answer["connector"], *answer["tasks"])]


def wait_until_all_run(pipeline: PipelineStack) -> None:
    def all_run() -> bool:
        found = [states(pipeline, name) for name in _ALL]
        # A connector without a task does not run yet.
        return all(len(one) > 1 and {*one} == {"RUNNING"} for one in found)

    until(all_run, within=240, what="all connectors run")


def test_the_exit_code_of_status_says_whether_all_run(pipeline: PipelineStack) -> None:
    code, found = status(pipeline)
    assert (code, sorted(found)) == (0, sorted(_ALL))
    assert all(one["running"] for one in found.values())

    assert pipeline.stroke("connectors", "pause", "sqlserver-sink").returncode == 0
    try:
        until(
            lambda: states(pipeline, SQL_SINK)[:1] == ["PAUSED"],
            within=90,
            what="the sink pauses",
        )
        code, found = status(pipeline)
        assert (code, found[SQL_SINK]["state"]) == (1, "PAUSED")
    finally:
        assert pipeline.stroke("connectors", "resume", "sqlserver-sink").returncode == 0
    wait_until_all_run(pipeline)
    assert status(pipeline)[0] == 0


def test_applied_twice_nothing_changes(pipeline: PipelineStack) -> None:
    before = {name: stored(pipeline, name) for name in _ALL}

    for _ in range(2):
        done = pipeline.stroke("connectors", "apply")
        assert (done.returncode, done.stdout.count("is as it should be")) == (0, 3), done.stderr

    assert {name: stored(pipeline, name) for name in _ALL} == before


def test_a_difference_is_shown_and_sent_and_taken_back(
    pipeline: PipelineStack, tmp_path: Path
) -> None:
    folder = altered(tmp_path, "sqlserver-sink", **{"batch.size": "777"})

    shown = pipeline.stroke("connectors", "apply", "--dry-run", STROKE_CONNECT_FOLDER=folder)
    assert "  batch.size: 1000 -> 777" in shown.stdout.splitlines()
    assert stored(pipeline, SQL_SINK)["batch.size"] == "1000"

    assert pipeline.stroke("connectors", "apply", STROKE_CONNECT_FOLDER=folder).returncode == 0
    assert stored(pipeline, SQL_SINK)["batch.size"] == "777"
    assert pipeline.stroke("connectors", "apply").returncode == 0
    assert stored(pipeline, SQL_SINK)["batch.size"] == "1000"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("insert.mode", "upset", "insert.mode must be upsert"),
        ("batch.sise", "5", "batch.sise is not known: is it batch.size?"),
        ("connection.password", "hunter2", "connection.password holds a secret"),
        ("schema.evolution", "advanced", "schema.evolution must be none or basic"),
    ],
)
def test_a_wrong_value_is_refused_before_connect_sees_it(
    pipeline: PipelineStack, tmp_path: Path, key: str, value: str, said: str
) -> None:
    before = {name: stored(pipeline, name) for name in _ALL}

    done = pipeline.stroke(
        "connectors",
        "apply",
        STROKE_CONNECT_FOLDER=altered(tmp_path, "sqlserver-sink", **{key: value}),
    )

    assert done.returncode == 1
    assert said in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert {name: stored(pipeline, name) for name in _ALL} == before


def test_a_failed_task_is_healed_by_the_watch(pipeline: PipelineStack) -> None:
    before = restarts(pipeline, SOURCE)
    pipeline.mysql("ALTER USER 'debezium'@'%%' ACCOUNT LOCK")
    try:
        pipeline.stroke("connectors", "restart", "mysql-source")
        until(lambda: "FAILED" in states(pipeline, SOURCE), within=180, what="the source fails")
        # The watch restarts it between two looks, and it fails again.
        until(lambda: "FAILED" in states_in_status(pipeline), within=180, what="status says that")
    finally:
        pipeline.mysql("ALTER USER 'debezium'@'%%' ACCOUNT UNLOCK")

    # A task that the watch started before the account was unlocked runs, and then fails once more.
    until(lambda: status(pipeline)[0] == 0, within=240, what="all connectors run")
    assert restarts(pipeline, SOURCE) > before


def test_a_removed_connector_is_missed_and_goes_on_where_it_was(pipeline: PipelineStack) -> None:
    removed = pipeline.stroke("connectors", "remove", "sqlserver-sink", "--yes")
    try:
        assert removed.returncode == 0, removed.stderr
        assert status(pipeline)[0] == 1
        seen = pipeline.stroke("connectors", "watch", "--once")
        assert seen.returncode == 1
        assert f"missing {SQL_SINK}" in seen.stdout
    finally:  # the modules after this one need it
        applied = pipeline.stroke("connectors", "apply", "sqlserver-sink")

    assert applied.returncode == 0, applied.stderr
    wait_until_all_run(pipeline)
    assert status(pipeline)[0] == 0


def altered(folder: Path, file: str, **settings: str) -> str:
    """Return a copy of the connectors' folder with settings of one file altered."""
    copy = folder / "connectors"
    copy.mkdir()
    for path in (ROOT / "connectors").glob("*.json"):
        shutil.copy(path, copy)
    content = json.loads((copy / f"{file}.json").read_text())
    content["config"] |= settings
    (copy / f"{file}.json").write_text(json.dumps(content))
    return str(copy)
