"""What a signal does to the two kinds of commands that do not end by it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from stroke.entrypoints.cli.terminal.signals import stops_on_sigterm, survives_signals


def test_a_watch_ends_well_by_a_signal_and_behind_it_signals_do_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def watch() -> str:
        with stops_on_sigterm():
            asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
            pytest.fail("went on")
        return "what follows"

    assert asyncio.run(watch()) == "what follows"
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_error_of_a_watch_is_its_own_and_leaves_no_handler() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def watch() -> None:
        with stops_on_sigterm():
            raise LookupError("no port is free")

    with pytest.raises(LookupError, match="no port is free"):
        asyncio.run(watch())
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_has_drained_is_not_ended_by_its_own_signal(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with survives_signals():
        os.kill(os.getpid(), number)
        time.sleep(0.01)  # the handler runs between two instructions
    assert signal.getsignal(number) == before
