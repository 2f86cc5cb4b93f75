from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.pipeline import SPECS, ConnectorSpecsContract
from stroke.adapters.kafka_connect.connector_files import ConnectorFiles
from stroke.domain.errors import InvalidData

GOOD: dict[str, Any] = {
    "name": "the-sink",
    "config": {"topics": "{topic}", "password": "${env:PASSWORD}", "format": "parquet"},
    "overlays": {
        "format-avro": {"format": "avro", "password": None},
        "salted": {"salt": "${file:/x:{topic}}"},
    },
}


def write(folder: Path, content: object, name: str = "sink.json") -> None:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def load(
    folder: Path, *overlays: str, topic: str = "changes", cluster: str = "c"
) -> dict[str, str]:
    files = ConnectorFiles(folder, overlays=overlays, values={"topic": topic})
    return dict(files.load("sink", cluster_id=cluster).config)


class TestConnectorFiles(ConnectorSpecsContract):
    @pytest.fixture
    def specs(self, tmp_path: Path) -> ConnectorFiles:
        for file, (name, config) in SPECS.items():
            write(tmp_path, {"name": name, "config": config}, f"{file}.json")
        return ConnectorFiles(tmp_path, values={"topic": "changes"})

    @pytest.fixture(params=["{", '{"name": "a-sink", "config": {"tasks.max": 1}}', None])
    def broken(
        self, request: pytest.FixtureRequest, specs: ConnectorFiles, tmp_path: Path
    ) -> ConnectorFiles:
        if request.param is None:
            return ConnectorFiles(tmp_path / "nowhere", values={})
        write(tmp_path, request.param, "another.json")
        return specs


def test_placeholders_are_filled_and_what_the_worker_fills_is_left(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert load(tmp_path) == {
        "topics": "changes",
        "password": "${env:PASSWORD}",
        "format": "parquet",
    }


def test_the_chosen_overlays_alter_add_and_remove(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert load(tmp_path, "format-avro") == {"topics": "changes", "format": "avro"}
    assert load(tmp_path, "salted")["salt"] == "${file:/x:changes}"


def test_an_overlay_counts_for_the_files_that_have_it(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, {**GOOD, "name": "other", "overlays": {}}, "other.json")
    files = ConnectorFiles(tmp_path, overlays=["format-avro"], values={"topic": "t"})
    assert files.load("other", cluster_id="c").config["format"] == "parquet"
    assert files.load("sink", cluster_id="c").config["format"] == "avro"
    assert files.names() == {"other": "other", "sink": "the-sink"}


def test_the_clusters_id_fills_its_placeholder(tmp_path: Path) -> None:
    write(tmp_path, {"name": "x", "config": {"iceberg.control.topic": "control-{cluster_id}"}})
    assert load(tmp_path, cluster="-A_b")["iceberg.control.topic"] == "control--A_b"


def test_a_value_that_is_filled_in_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert load(tmp_path, topic="{cluster_id}")["topics"] == "{cluster_id}"


def test_an_overlay_that_no_file_has_is_refused(tmp_path: Path) -> None:
    """Else a misspelt `mask` would let names leave MySQL."""
    write(tmp_path, GOOD)
    with pytest.raises(InvalidData, match="mask"):
        load(tmp_path, "mask")


def test_a_placeholder_without_a_value_is_refused_by_its_file(tmp_path: Path) -> None:
    write(tmp_path, {"name": "x", "config": {"topics": "{tpoic}"}})
    with pytest.raises(InvalidData, match=r"sink\.json.*\{tpoic\}.*topic"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        {"config": {}},
        {"name": "x"},
        {"name": 1, "config": {}},
        {"name": "", "config": {}},
        {"name": "x", "config": []},
        {"name": "x", "config": {"tasks.max": 1}},
        {"name": "x", "config": {"delete.enabled": True}},
        {"name": "x", "config": {"a": None}},
        {"name": "x", "config": {}, "overlays": []},
        {"name": "x", "config": {}, "overlays": {"a": {"b": 1}}},
        {"name": "x", "config": {}, "overlay": {}},
    ],
)
def test_a_malformed_file_is_refused_by_its_name(tmp_path: Path, content: object) -> None:
    write(tmp_path, content)
    with pytest.raises(InvalidData, match=r"sink\.json"):
        load(tmp_path)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="STROKE_CONNECT_FOLDER"):
        ConnectorFiles(tmp_path, values={}).names()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(InvalidData, match=r"other\.json is not there"):
        ConnectorFiles(tmp_path, values={}).load("other", cluster_id="c")
