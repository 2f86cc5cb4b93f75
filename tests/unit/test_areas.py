"""The gate leaves out what is marked for the soak, and no module is forgotten by both."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from runner import areas

TESTS = Path(areas.__file__).parents[1]
CONFTEST = """
import pytest
from runner import areas

def pytest_addoption(parser):
    parser.addoption("--soak")

def pytest_configure(config):
    config.addinivalue_line("markers", "soak(reason): not in the gate")

def pytest_collection_modifyitems(items, config):
    areas.select(items, config)
"""
MODULES = {
    "unit/test_quick.py": "def test_quick(): pass",
    "integration/test_serve.py": """
import pytest
def test_serves(): pass
@pytest.mark.soak("it takes a day")
def test_serves_for_a_day(): pass
""",
    "integration/test_compose.py": """
import pytest
pytestmark = pytest.mark.soak("a platform of its own")
def test_comes_up(): pass
""",
}
GATE = {"test_quick", "test_serves"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(project: Path, *arguments: str) -> tuple[set[str], str]:
    """Return the tests that ran, and all that was printed."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["--import-mode=importlib", "--rootdir", str(project), "-c", "/dev/null"]
    done = subprocess.run(
        [*command, *arguments],
        cwd=project,
        # What is installed beside pytest takes a second to import, and is not asked for.
        env={"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (line for line in done.stdout.splitlines() if " PASSED" in line)
    return {line.split("::")[1].split()[0] for line in lines}, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], GATE),
        (["--soak=all"], GATE | {"test_serves_for_a_day", "test_comes_up"}),
        (["--soak=service"], {"test_serves", "test_serves_for_a_day"}),
        (["--soak=unit,deploy"], {"test_quick", "test_comes_up"}),
        (["integration/test_compose.py"], {"test_comes_up"}),
        (["integration/test_serve.py::test_serves_for_a_day"], {"test_serves_for_a_day"}),
    ],
)
def test_what_is_asked_for_runs_and_nothing_else(
    project: Path, arguments: list[str], expected: set[str]
) -> None:
    ran, printed = run(project, *arguments)

    assert ran == expected, printed


def test_a_module_in_no_area_fails_the_run(project: Path) -> None:
    (project / "integration" / "test_forgotten.py").write_text("def test_it(): pass")

    ran, printed = run(project)

    assert ran == set()
    assert "test_forgotten stands in no area" in printed


@pytest.mark.parametrize("mark", ["pytest.mark.soak", 'pytest.mark.soak("")'])
def test_a_mark_without_a_reason_fails_the_run(project: Path, mark: str) -> None:
    text = f"import pytest\n@{mark}\ndef test_it(): pass"
    (project / "integration" / "test_serve.py").write_text(text)

    ran, printed = run(project)

    assert ran == set()
    assert "soak wants the reason" in printed


def test_an_area_that_there_is_not_is_named(project: Path) -> None:
    ran, printed = run(project, "--soak=service,hospital")

    assert ran == set()
    assert "there is no area hospital; there are unit, service" in printed


def test_each_module_stands_in_one_area_and_no_area_has_one_that_is_gone() -> None:
    listed = Counter(module for modules in areas.AREAS.values() for module in modules)

    assert {module for module, times in listed.items() if times > 1} == set()
    assert {path.stem for path in areas.modules()} == set(listed)
