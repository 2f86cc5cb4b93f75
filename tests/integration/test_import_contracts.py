"""The import contracts of pyproject.toml hold, and each of them bites."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

# At least one forbidden import for each contract.
BREAKS = [
    ("Imports point inwards", "domain/risk.py", "import stroke.application.predictions.ports"),
    ("Imports point inwards", "unforeseen.py", "import stroke.domain"),
    ("Adapters do not know each other", "adapters/onnx/__init__.py", "import stroke.adapters.sql"),
    (
        "The wings of the application stand apart",
        "application/predictions/ports.py",
        "import stroke.application.quality",
    ),
    (
        "Packages beside each other import in one direction",
        "entrypoints/api/app.py",
        "import stroke.entrypoints.cli.main",
    ),
    ("Entrypoints name no adapter", "entrypoints/api/app.py", "import stroke.adapters.sql"),
    (
        "Entrypoints name no adapter",
        "entrypoints/cli/commands/model_training.py",
        "import stroke.adapters.onnx.graph",
    ),
    (
        "Entrypoints name no adapter",
        "entrypoints/cli/commands/serve.py",
        "def later():\n    from stroke.adapters.training import data",
    ),
    ("The domain is pure", "domain/risk.py", "import numpy"),
    ("The service does not import training", "container/service.py", "import sklearn"),
    (
        "The service imports no package of the pipeline or the analyses",
        "entrypoints/api/app.py",
        "import httpx",
    ),
    (
        "The service imports no package of the pipeline or the analyses",
        "container/tracing.py",
        "import stroke.container.lake",
    ),
    (
        "The service imports no package of the pipeline or the analyses",
        "adapters/sql/engine.py",
        "def connect():\n    import asyncpg",
    ),
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT_IMPORTS), "--no-cache", "--config", "pyproject.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package, to break."""
    shutil.copytree(ROOT / "src" / "stroke", tmp_path / "stroke")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_contract_is_kept() -> None:
    result = lint_imports(ROOT)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("contract", "module", "line"), BREAKS)
def test_a_forbidden_import_breaks_its_contract(
    copy: Path, contract: str, module: str, line: str
) -> None:
    with (copy / "stroke" / module).open("a") as file:
        file.write(f"\n{line}\n")

    result = lint_imports(copy)

    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout


def test_every_contract_has_an_import_that_breaks_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {contract["name"] for contract in project["tool"]["importlinter"]["contracts"]}

    assert contracts == {contract for contract, _, _ in BREAKS}


def foreign_imports(folder: Path) -> set[str]:
    """Return what the domain of the package in ``folder`` imports from outside itself.

    The standard library does not count.
    """
    script = (
        "import grimp, sys;"
        "graph = grimp.build_graph('stroke', include_external_packages=True, cache_dir=None);"
        "inside = graph.find_descendants('stroke.domain') | {'stroke.domain'};"
        "found = {each for one in inside for each in graph.find_modules_directly_imported_by(one)};"
        "print(*(found - inside - sys.stdlib_module_names))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_domain_imports_the_standard_library_only() -> None:
    assert foreign_imports(ROOT / "src") == set()


@pytest.mark.parametrize("line", ["import numpy", "import httpx", "import stroke.config"])
def test_another_import_of_the_domain_is_found(copy: Path, line: str) -> None:
    with (copy / "stroke" / "domain" / "risk.py").open("a") as file:
        file.write(f"\n{line}\n")

    assert foreign_imports(copy) == {line.removeprefix("import ")}


def test_every_package_says_what_is_in_it() -> None:
    packages = sorted((ROOT / "src" / "stroke").rglob("__init__.py"))
    silent = [
        str(each.relative_to(ROOT))
        for each in packages
        if ast.get_docstring(ast.parse(each.read_text())) is None
    ]

    assert len(packages) > 20
    assert silent == []
