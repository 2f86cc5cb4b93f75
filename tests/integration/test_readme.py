"""The commands of the README and of docs/ do what the pages say, in a fresh copy of the project.

The README comes first, then each page of docs/ by name; a page may use what the README started. The
blocks of docs/operations.md need the whole platform: test_compose.py runs them.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from components.checkout import copy_checkout
from components.containers import ROOT, free_port
from components.processes import environment, wait_for
from components.readme import Command, commands, disagreement

ELSEWHERE = {"operations.md"}
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in ELSEWHERE),
]


class Terminal:
    """Runs one block after another, as a reader does; variables last from block to block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._address = f"127.0.0.1:{free_port()}"
        port = self._address.rpartition(":")[2]
        self._environment = environment(STROKE_HTTP_PORT=port)
        self._state = folder / ".venv" / "readme-variables"
        self._server = ExitStack()

    def close(self) -> None:
        self._server.close()

    def run(self, command: Command, where: str) -> str:
        """Return what the block printed on stdout; a server's block returns when it is ready.

        ``where`` is the page and line that a failure names.
        """
        text = command.text.replace("127.0.0.1:8000", self._address)
        text = text.replace("localhost:8000", self._address)
        if command.serves:
            self._server.close()
            self._server.enter_context(self._serving(text))
            return ""
        before = f"[[ ! -e {self._state} ]] || . {self._state}; set -euo pipefail\n"
        after = f"\ndeclare -px > {self._state}"
        done = subprocess.run(
            ["bash", "-c", f"{before}{text}{after}"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{where}: {done.stderr[-2000:]}"
        return done.stdout

    @contextmanager
    def _serving(self, text: str) -> Iterator[None]:
        with (self._folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", text],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_for(f"http://{self._address}/health/ready", within=300, alive=process)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def test_the_readmes_commands_do_what_it_says(tmp_path: Path) -> None:
    terminal = Terminal(copy_checkout(tmp_path / "stroke"))
    ran = dict.fromkeys((page.name for page in PAGES), 0)
    try:
        for page in PAGES:
            for command in commands(page.read_text()):
                if command.not_run is None:
                    where = f"{page.name}:{command.line}"
                    output = terminal.run(command, where)
                    difference = disagreement(command, output)
                    assert difference is None, f"{where}: {difference}"
                    ran[page.name] += 1
    finally:
        terminal.close()

    assert ran["README.md"] >= 4, "start, prediction, listing and the command line"
    assert ran["api.md"] >= 3, "a wrong request, a retry and an erasure"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_that_is_not_run_says_why(page: Path) -> None:
    reasons = [command.not_run for command in commands(page.read_text())]

    assert "" not in reasons


EXAMPLE = """\
```sh
curl it
```
It prints:

```json
{"id": 1, "probability": 0.25, "factors": ["age"], "of": {"x": null}}
```

<!-- not run: needs a cloud -->
```sh
deploy it
```
```
a picture
```
```sh
./run.sh --port 8001
```
"""


def test_blocks_are_found_with_their_output_and_reason() -> None:
    curl, deploy, run = commands(EXAMPLE)

    assert (curl.text, curl.line, curl.shown_as, curl.not_run) == ("curl it\n", 1, "json", None)
    assert (deploy.not_run, deploy.shown) == ("needs a cloud", None)
    assert [block.serves for block in (curl, deploy, run)] == [False, False, True]


@pytest.mark.parametrize(
    ("output", "difference"),
    [
        ('{"id": 7, "probability": 1, "factors": ["bmi", "age"], "of": {"x": null}}', None),
        ('{"id": "7", "probability": 1, "factors": ["bmi"], "of": {"x": null}}', "$.id is a str"),
        ('{"id": 7, "probability": 1, "factors": [], "of": {"x": null}}', "$.factors is empty"),
        ('{"id": 7, "probability": 1, "factors": ["bmi"], "of": {}}', "$.of differs in ['x']"),
    ],
)
def test_json_must_have_the_shape_that_is_shown(output: str, difference: str | None) -> None:
    found = disagreement(commands(EXAMPLE)[0], output)

    assert (found is None) if difference is None else (found or "").startswith(difference)


@pytest.mark.parametrize(
    ("output", "agrees"),
    [
        ("scored 31 rows in 9.5 s\nmodel other-2\n", True),
        ("starting\nscored  7 rows in 12 s\nmodel x\ndone", True),
        ("model x\nscored 7 rows in 12 s\n", False),
        ("scored many rows in 12 s\nmodel x\n", False),
    ],
)
def test_text_must_have_the_lines_that_are_shown(output: str, agrees: bool) -> None:
    shown = commands("```sh\nx\n```\n```text\nscored 1,000 rows in 0.1 s\nmodel ...\n```\n")

    assert (disagreement(shown[0], output) is None) == agrees
