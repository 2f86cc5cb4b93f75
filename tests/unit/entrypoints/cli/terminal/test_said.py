from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stroke.entrypoints.cli.terminal import said
from stroke.entrypoints.cli.terminal.said import Lines, say

CANARY = "Canary Q. Patient"


@pytest.fixture(autouse=True)
def _settings_are_read_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STROKE_LOG_FORMAT", raising=False)
    said._as_json.cache_clear()
    yield
    said._as_json.cache_clear()


@pytest.fixture
def in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROKE_LOG_FORMAT", "json")


@pytest.fixture
def library() -> Iterator[logging.Logger]:
    """Give a logger of a library, whose lines the command says."""
    logger = logging.getLogger("a library of this test alone")
    logger.propagate = False
    handler = Lines(logging.WARNING)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def said_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_people_read_what_is_said_with_the_prefix_of_its_level(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("three rows")
    say("read as CSV", "note")
    say("runs code", "warning")
    say("no such file", "error")
    assert said_lines(capsys) == [
        "three rows",
        "note: read as CSV",
        "warning: runs code",
        "stroke: no such file",
    ]


@pytest.mark.usefixtures("in_json")
def test_programs_read_one_json_object_a_line_with_level_and_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("three\nrows: é")
    say("no such file", "error")
    first, second = map(json.loads, said_lines(capsys))
    assert (first["level"], first["message"]) == ("info", "three\nrows: é")
    assert (second["level"], second["message"]) == ("error", "no such file")
    assert second["time"].endswith("+00:00")
    assert second["logger"] == "stroke.cli"


def test_the_format_may_stand_in_the_env_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text("STROKE_LOG_FORMAT=json\n")
    say("three rows")
    assert json.loads(said_lines(capsys)[0])["message"] == "three rows"


def test_a_format_that_does_not_exist_is_said_as_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STROKE_LOG_FORMAT", "xml")
    say("STROKE_LOG_FORMAT: wrong", "error")
    assert said_lines(capsys) == ["stroke: STROKE_LOG_FORMAT: wrong"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_of_a_librarys_exception_only_the_outline_is_said(
    library: logging.Logger,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STROKE_LOG_FORMAT", form)
    library.warning("a retry", exc_info=ValueError(CANARY))
    library.info("nothing of interest")
    [line] = said_lines(capsys)
    assert "a retry" in line
    assert "builtins.ValueError at" in line
    assert CANARY not in line
    assert line.startswith("{") == (form == "json")


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_command_line_says_its_errors_in_the_format_that_is_set(
    form: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stroke.entrypoints.cli.main", "model", "show", "--model", "none"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
        env={"STROKE_LOG_FORMAT": form, "PATH": "", "HOME": str(tmp_path)},
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    if form == "json":
        assert json.loads(line)["level"] == "error"
        assert not json.loads(line)["message"].startswith("stroke:")
    else:
        assert line.startswith("stroke: ")


def test_no_command_says_anything_on_stderr_without_the_format() -> None:
    folder = Path(said.__file__).parents[1]
    pages = [p for p in folder.rglob("*.py") if p != Path(said.__file__)]
    assert len(pages) > 20
    for page in pages:
        for line in page.read_text().splitlines():
            asks = "confirm(" in line or "prompt(" in line
            assert not re.search(r"\berr=True", line) or asks, f"{page}: use `say`"
