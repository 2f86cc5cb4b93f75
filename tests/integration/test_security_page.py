"""The page about OWASP's risks names tests that exist; the scan for secrets finds one."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
ROWS = re.findall(r"^\| (API\d+) [^|]+\| ([^|]+) \| ?([^|]*)\|$", PAGE.read_text(), re.MULTILINE)
NAMED = sorted(set(re.findall(r"`([^`]+?)::(\w+)`", PAGE.read_text())))


def test_the_page_has_each_risk_once_with_tests_or_with_what_it_waits_for() -> None:
    assert [risk for risk, *_ in ROWS] == [f"API{number}" for number in range(1, 11)]
    for risk, what, tests in ROWS:
        assert tests.strip() or "waits for" in what, risk
    assert len(NAMED) > 20


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    module = ast.parse((ROOT / path).read_text())
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    assert name in {node.name for node in ast.walk(module) if isinstance(node, functions)}


def test_a_secret_in_a_file_that_git_tracks_is_named_without_its_text(tmp_path: Path) -> None:
    script = tmp_path / "deploy" / "python" / "scan-secrets.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "python" / "scan-secrets.sh", script)
    secret = "AKIA" + "IOSFODNN7EXAMPLQ"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)

    def scan(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "notes.txt").write_text(text)
        subprocess.run(["git", "-C", str(tmp_path), "add", "."], check=True)
        return subprocess.run(
            ["bash", str(script), str(Path(sys.executable).parent)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert scan("nothing of interest\n").returncode == 0
    found = scan(f"a line\nkey = {secret}\n")
    assert found.returncode == 1
    assert "notes.txt:2: AWS Access Key" in found.stderr
    assert secret not in found.stdout + found.stderr
