"""What a command writes is there whole or not at all, whenever it is asked to end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import pytest

from stroke.entrypoints.cli.terminal.output import opened, progress
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm


@contextmanager
def ended_by_a_signal() -> Iterator[None]:
    with pytest.raises(SystemExit) as ended, ends_on_sigterm():
        yield
    assert ended.value.code == 128 + signal.SIGTERM


def ask_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.01)  # the handler runs between two instructions


def test_a_signal_ends_the_block_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "scored.csv"
    path.write_bytes(b"before")
    with ended_by_a_signal(), opened(path) as stream:
        stream.write(b"half")
        ask_to_end()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_signal_that_a_library_swallowed_still_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "scored.csv"
    with ended_by_a_signal(), opened(path) as stream:
        stream.write(b"whole")
        with suppress(SystemExit):
            ask_to_end()
    assert not list(tmp_path.iterdir())


def test_a_signal_that_a_library_swallowed_ends_the_block_at_its_next_progress() -> None:
    with ended_by_a_signal(), progress() as display:
        bar = display.add_task("scoring", total=2)
        display.update(bar, completed=1)
        with suppress(SystemExit):
            ask_to_end()
        display.update(bar, completed=2)
        pytest.fail("went on")


def test_a_module_that_is_being_imported_is_let_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_import.py").write_text(
        "import os, signal, time\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "time.sleep(0.2)\n"
        "finished = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with ended_by_a_signal():
            import_module("slow_to_import")
            time.sleep(5)
            pytest.fail("went on")
        assert sys.modules["slow_to_import"].finished
    finally:
        sys.modules.pop("slow_to_import", None)


def test_behind_the_block_signals_do_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    with ended_by_a_signal():
        ask_to_end()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)) == before
    with ends_on_sigterm(), progress() as display:
        display.update(display.add_task("scoring", total=1), completed=1)
