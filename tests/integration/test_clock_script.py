"""The script that runs Kafka Connect's worker and ends it when its clock has gone back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.change_events import until
from components.containers import ROOT

SCRIPT = ROOT / "deploy/images/kafka/bin/end-when-the-clock-goes-back"
# It gives one time a call, then the last one again and again, and notes that it has come to that.
DATE = """\
#!/bin/bash
read -r now < "$TIMES"
if (($(wc -l < "$TIMES") > 1)); then sed -i 1d "$TIMES"; else touch "$TIMES.ended"; fi
echo "$now"
"""
SLEEP = "#!/bin/bash\nexec /bin/sleep 0.02\n"
# As a worker that waits for the old time: it ends by no signal that can be ignored.
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
ORDERLY = """
import signal, sys, time
def end(*_): print("ends", flush=True); sys.exit(7)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGQUIT, lambda *_: print("threads", flush=True))
print("ready", flush=True)
while True: time.sleep(0.05)
"""


@pytest.fixture
def times(tmp_path: Path) -> Path:
    for name, text in (("date", DATE), ("sleep", SLEEP)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path / "times"


def started(times: Path, clock: list[int], program: str) -> subprocess.Popen[str]:
    """Run a program of Python under the script, whose looks at the clock find these times.

    It gets the signals of a container's first process: no shell can trap one that it was started to
    ignore, as those in the background are.
    """
    times.write_text("".join(f"{time}\n" for time in clock))
    path = f"{times.parent}:{os.environ['PATH']}"
    return subprocess.Popen(
        ["env", "--default-signal=INT,QUIT", SCRIPT, sys.executable, "-c", program],
        env=os.environ | {"PATH": path, "TIMES": str(times)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "clock", [[5_000, 4_939], [1_000, 1_005, 1_010, 900], [1_000, 950, 4_600, 1_000]]
)
def test_a_worker_whose_clock_went_back_is_killed_though_no_signal_ends_it(
    times: Path, clock: list[int]
) -> None:
    with started(times, clock, STUBBORN) as script:
        _, said = script.communicate(timeout=60)

    assert script.returncode == 128 + signal.SIGKILL
    assert f"the clock went back by {clock[-2] - clock[-1]} s" in said


@pytest.mark.parametrize("clock", [[5_000, 4_940], [1_000, 4_600], [1_000, 950, 900, 850]])
def test_a_clock_that_is_corrected_a_little_or_goes_ahead_ends_nothing(
    times: Path, clock: list[int]
) -> None:
    with started(times, clock, ORDERLY) as script:
        assert script.stdout is not None
        assert script.stdout.readline() == "ready\n"
        until(times.with_name("times.ended").exists, within=60, what="the last look")
        assert script.poll() is None
        script.send_signal(signal.SIGTERM)
        _, said = script.communicate(timeout=60)

    assert (script.returncode, said) == (7, "")


def test_the_worker_gets_the_signals_and_its_exit_code_is_the_scripts(times: Path) -> None:
    with started(times, [1_000], ORDERLY) as script:
        assert script.stdout is not None
        assert script.stdout.readline() == "ready\n"
        script.send_signal(signal.SIGQUIT)
        assert script.stdout.readline() == "threads\n"
        script.send_signal(signal.SIGTERM)
        assert script.stdout.readline() == "ends\n"

    assert script.returncode == 7


def test_a_worker_that_ends_by_itself_ends_the_script(times: Path) -> None:
    with started(times, [1_000], "raise SystemExit(3)") as script:
        assert script.wait(60) == 3
