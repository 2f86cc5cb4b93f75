"""`stroke model card`, as users run it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from builders.applied_card import strays
from stroke.adapters.onnx.store import DEFAULT
from stroke.application.models.applied_card import NAMESPACE
from stroke.entrypoints.cli.main import app


@pytest.fixture(autouse=True)
def _bare_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def run(*options: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["model", "card", *options])
    return done.exit_code, done.stdout


def test_the_format_is_markdown_unless_another_is_asked_for() -> None:
    code, text = run()

    assert code == 0
    assert text.startswith(f"# {DEFAULT}\n")
    assert run("--format", "md") == (0, text)


def test_json_has_an_option_of_its_own_which_means_the_same() -> None:
    code, text = run("--json")

    assert code == 0
    assert len(json.loads(text)["tripod"]) == 52
    assert run("--format", "json") == (0, text)
    assert run("--format", "json", "--json") == (0, text)


def test_html_is_one_page() -> None:
    code, text = run("--format", "html")

    assert code == 0
    assert text.startswith("<!DOCTYPE html>")
    assert text.rstrip().endswith("</html>")
    assert text.count("<table") == text.count("</table>") >= 4


def test_xml_is_the_applied_model_card_of_chai() -> None:
    code, text = run("--format", "xml")

    assert code == 0
    root = ET.fromstring(text.encode())  # noqa: S314 -- it is our own
    assert strays(root, NAMESPACE) == []


@pytest.mark.parametrize("options", [("--json", "--format", "html"), ("--format", "pdf")])
def test_two_formats_or_an_unknown_one_are_a_usage_error(options: tuple[str, ...]) -> None:
    assert run(*options)[0] == 2
