"""Runs a program that may loop, allocate without end or crash, and says how it ended."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stroke.adapters.confined import launcher
from stroke.domain.errors import InvalidModel

_GIB: Final = 1 << 30
_LONGEST_ANSWER: Final = 1 << 20
_NOT_RUN: Final = 127


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process may take: wall-clock ``seconds``, address space, the size of each file."""

    seconds: float = 120
    memory_bytes: int = 4 * _GIB
    file_bytes: int = _GIB


class ConfinedProcess:
    """Runs programs within ``limits``, each in a session of its own that is killed at its end.

    The environment is empty but for what Python needs to start: no secret is inherited. The
    program can still read files and reach the network with this user's rights: the limits guard
    against accidents and exhaustion, not against malice.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def __call__(self, command: Sequence[str], folder: Path) -> str:
        """Run ``command`` in ``folder``, which is its home; return what it printed, up to 1 MiB.

        Raises ``InvalidModel`` saying how the program ended unless it exited with 0.
        """
        program = shutil.which(command[0])
        if program is None:
            raise InvalidModel(f"{command[0]} cannot be run")
        answer = folder / "answer"
        with answer.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the user names the interpreter
                [*self._launcher(), str(Path(program).absolute()), *command[1:]],
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,  # it may quote what the model was trained on
                start_new_session=True,
            )
        try:
            code = process.wait(self._limits.seconds)
        except subprocess.TimeoutExpired:
            raise InvalidModel(self._too_long()) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with all that it started
            process.wait()
        if code != 0:
            raise InvalidModel(self._ended(code, command[0]))
        with answer.open("rb") as given:
            return given.read(_LONGEST_ANSWER).decode(errors="replace")

    def _launcher(self) -> list[str]:
        # Threads spend several seconds of CPU in one second of the clock.
        cpu = math.ceil(self._limits.seconds) * (os.cpu_count() or 1) + 1
        limits = (self._limits.memory_bytes, cpu, self._limits.file_bytes)
        return [sys.executable, "-I", "-S", launcher.__file__, *map(str, limits)]

    def _too_long(self) -> str:
        return (
            f"it was stopped after {self._limits.seconds:g} s: it loops, or it needs more time "
            "(STROKE_MODEL_IMPORT_SECONDS)"
        )

    def _ended(self, code: int, program: str) -> str:
        if code == _NOT_RUN:
            return f"{program} cannot be run"
        if code > 0:
            return f"its process ended with exit code {code}"
        if -code == signal.SIGXCPU:
            return self._too_long()
        return (
            f"its process was killed by {signal.Signals(-code).name} (it crashed, or needs more "
            f"than {self._limits.memory_bytes / _GIB:.3g} GiB: STROKE_MODEL_IMPORT_MEMORY_BYTES)"
        )


def _environment(folder: Path) -> dict[str, str]:
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",  # each arena reserves address space, which is limited
        **one,
    }
