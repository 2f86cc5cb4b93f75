"""Debian's Chromium without a window, spoken to over a pipe in its DevTools protocol."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any, Final

from components.programs import program

_FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # the tests run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
_ANSWERS_WITHIN: Final = 60.0
# A page that breaks its own policy says so in events, which nobody sees unless they are kept.
_KEEP_FAULTS: Final = """
window.faults = [];
const keep = what => faults.push(String(what));
addEventListener("securitypolicyviolation", e => keep(`${e.violatedDirective} ${e.blockedURI}`));
addEventListener("error", e => keep(e.message || e.target.src || e.target.href), true);
addEventListener("unhandledrejection", e => keep(e.reason));
"""


class Page:
    """One page of a browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._read = b""
        self._last = 0
        self._session: str | None = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._call("Page.enable")
        self._call("Page.addScriptToEvaluateOnNewDocument", source=_KEEP_FAULTS)

    def open(self, url: str) -> None:
        """Go to ``url``."""
        gone = self._call("Page.navigate", url=url)
        assert "errorText" not in gone, gone["errorText"]

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression, awaited if it is a promise."""
        done = self._call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait_for(self, script: str, within: float = _ANSWERS_WITHIN) -> Any:
        """Return the value of an expression as soon as it is true."""
        deadline = time.monotonic() + within
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"not within {within:.0f} s: {script}"
            time.sleep(0.1)
        return value

    def click(self, selector: str) -> None:
        """Click on the element, once it is there."""
        self.wait_for(f"document.querySelector({json.dumps(selector)}) !== null")
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    @property
    def faults(self) -> list[str]:
        """What the page did against its policy, scripts that failed, and files that are missing."""
        found: list[str] = self.run("window.faults")
        return found

    def _call(self, method: str, **given: Any) -> dict[str, Any]:
        self._last += 1
        command: dict[str, Any] = {"id": self._last, "method": method, "params": given}
        if self._session is not None:
            command["sessionId"] = self._session
        sent = json.dumps(command).encode() + b"\0"
        while sent:
            sent = sent[os.write(self._commands, sent) :]
        while (answer := self._next()).get("id") != self._last:
            pass  # an event
        assert "error" not in answer, answer["error"]
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            ready, _, _ = select([self._answers], [], [], _ANSWERS_WITHIN)
            assert ready, "the browser does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser has ended"
            self._read += part
        message, _, self._read = self._read.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed


def _pipe() -> tuple[int, int]:
    """Return the ends of a pipe with numbers that the shell's redirections do not overwrite."""
    ends = os.pipe()
    read, write = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return read, write


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Run Chromium with its profile in ``folder``; yield a page of it."""
    (commands_out, commands), (answers, answers_in) = _pipe(), _pipe()
    # It reads commands from 3 and writes answers to 4.
    shell = f'exec "$@" 3<&{commands_out} 4>&{answers_in}'
    profile = f"--user-data-dir={folder / 'profile'}"
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", program("chromium", "chromium"), *_FLAGS, profile],
        pass_fds=(commands_out, answers_in),
        env=os.environ | {"HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands_out)
    os.close(answers_in)
    try:
        yield Page(commands, answers)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(commands)
        os.close(answers)
