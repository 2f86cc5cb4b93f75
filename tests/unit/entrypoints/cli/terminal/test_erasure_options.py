"""Values and logs as the command line takes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from stroke.domain.errors import InvalidData
from stroke.entrypoints.cli.terminal.erasure_options import log_paths, read_values


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_value_has_the_number_of_its_line(tmp_path: Path, end: str) -> None:
    file = tmp_path / "values"
    file.write_bytes(end.join(["\ufeffCanary ", "", "  ", "7341", ""]).encode())
    sought = read_values(str(file))
    assert sought.in_text("canary") == {1}
    assert sought.in_text("no. 7341") == {4}


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_values_that_are_no_utf_8_are_refused_without_saying_them(
    tmp_path: Path, coding: str
) -> None:
    file = tmp_path / "values"
    file.write_bytes("Canary M\u00fcller".encode(coding))
    with pytest.raises(InvalidData, match="--values cannot be read as text") as refused:
        read_values(str(file))
    assert "Canary" not in str(refused.value)


def test_a_pipe_is_kept_since_it_can_be_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=[b"ready\n"])
    writer.start()
    with log_paths([str(pipe)]) as [path]:
        writer.join()
        assert [path.read_bytes() for _ in range(2)] == [b"ready\n"] * 2
    assert not path.exists()


@pytest.mark.parametrize("path", ["", "not there"])
def test_a_log_that_is_not_there_is_refused(path: str) -> None:
    with pytest.raises(InvalidData, match="--logs: there is no"), log_paths([path]):
        pass


def test_a_command_that_is_ended_leaves_no_log_behind(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "stroke.entrypoints.cli.main",
        "erase",
        "prove",
        "17",
        "--logs",
        "-",
    ]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=tmp_path, env=environment) as process:
        for _ in range(600):
            if list(tmp_path.glob("*/standard input")) or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
