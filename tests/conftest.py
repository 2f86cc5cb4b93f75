"""Rules for every test run."""

from __future__ import annotations

import gc
import itertools
import os
import signal
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import pytest

from runner import areas, seconds, workers

# What a test may lack on any machine that is not its own: part of its skip reason. Nothing else
# may skip, and CI fails on it, so that a missing part is never mistaken for a passing test.
MAY_BE_MISSING = (
    *("needs a SQL Server", "needs a cloud account", "needs the public data set"),
    *("needs npm and its registry", "needs CHAI's schema"),
)
_FIGURES = "figures"
# What a property test draws that does not set a number of its own: 100 in the gate.
_SOAK_EXAMPLES = 500
_LONGEST_IN_NAME = 16  # bytes
_TABLE = seconds.Table()


# Its asserts explain themselves as those of test modules do.
pytest.register_assert_rewrite("contracts")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that prints a line at the end of the run, of a test that passes too."""

    def show(line: str) -> None:
        record_property(_FIGURES, line)

    return show


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak",
        metavar="AREA,...",
        help=f"run the soak, too: {areas.ALL}, or some of {', '.join(areas.NAMES)}",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak(reason): not in the gate (tests/runner/areas.py)")
    if config.getoption("--soak") is not None:
        from hypothesis import settings  # noqa: PLC0415 - Spark's image runs without it

        settings.register_profile("soak", parent=settings(), max_examples=_SOAK_EXAMPLES)
        settings.load_profile("soak")

    # SIGTERM ends a run as Ctrl-C does: fixtures are torn down and their containers removed.
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    areas.select(items, config)
    workers.check(items)
    workers.order(items, config)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Let no test be named by what a file holds: packed bytes hold the second of their making.

    Workers that collect in different seconds would not have the same tests.
    """
    return argname if isinstance(val, bytes) and len(val) > _LONGEST_IN_NAME else None


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what is here to stay, until a service ends in a test.

    It took a tenth of the time of unit tests.
    """
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Give the collector back what it passed over: DuckDB would print that its objects leaked."""
    gc.unfreeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    seconds.hand_over(report)
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _TABLE.add(report)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> workers.Scheduling:
    config.option.loadscopereorder = False  # workers.order() has sorted them
    return workers.Scheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = itertools.chain(
        *(terminalreporter.stats.get(end, []) for end in ("passed", "failed"))
    )
    for report in reports:
        for name, value in report.user_properties:
            if name == _FIGURES:
                terminalreporter.write_line(f"figures: {value}")
    for reason in unexpected_skips(terminalreporter):
        terminalreporter.write_line(f"unexpected skip, which fails in CI: {reason}", red=True)
    _TABLE.write(terminalreporter)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    in_ci = os.environ.get("CI") == "true"
    if in_ci and session.exitstatus == pytest.ExitCode.OK and unexpected_skips(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def unexpected_skips(reporter: pytest.TerminalReporter | None) -> list[str]:
    """Return test and reason of each skip that ``MAY_BE_MISSING`` does not allow."""
    if reporter is None:  # an xdist worker: its controller decides
        return []
    skips = ((report.nodeid, str(report.longrepr)) for report in reporter.stats.get("skipped", []))
    return [
        f"{test}: {reason}"
        for test, reason in skips
        if not any(allowed in reason for allowed in MAY_BE_MISSING)
    ]
