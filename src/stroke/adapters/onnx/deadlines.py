"""Ends runs of onnxruntime that take too long: one thread watches all runs of the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import onnxruntime as ort

_LOOKS_EVERY: Final = 0.5


class RunDeadlines:
    """Gives each run its options, and has onnxruntime end a run that is past its time."""

    def __init__(self) -> None:
        self._runs: dict[int, tuple[float, ort.RunOptions]] = {}
        self._starting = threading.Lock()
        self._watch = threading.Thread()

    @contextmanager
    def run(self, seconds: float) -> Iterator[ort.RunOptions]:
        """Yield the options of one run, which onnxruntime ends after about ``seconds``."""
        options = ort.RunOptions()
        self._runs[id(options)] = (time.monotonic() + seconds, options)
        if not self._watch.is_alive():  # before the first run, and in a forked process
            self._start()
        try:
            yield options
        finally:
            del self._runs[id(options)]

    def _start(self) -> None:
        with self._starting:
            if not self._watch.is_alive():
                self._watch = threading.Thread(target=self._look, name="deadlines", daemon=True)
                self._watch.start()

    def _look(self) -> None:
        while True:
            time.sleep(_LOOKS_EVERY)
            now = time.monotonic()
            for deadline, options in list(self._runs.values()):
                if now > deadline:
                    options.terminate = True


DEADLINES: Final = RunDeadlines()
