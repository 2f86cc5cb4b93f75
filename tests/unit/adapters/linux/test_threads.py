"""What Linux says a thread has spent."""

from __future__ import annotations

import threading
import time

from stroke.adapters.linux.threads import spent_by

NOBODY = 2**22 + 1  # more than the largest id of a thread


def test_work_of_a_thread_counts_as_its_own() -> None:
    me = threading.get_native_id()
    before, own = spent_by(me), time.thread_time()
    while time.thread_time() < own + 0.05:
        pass
    after = spent_by(me)

    assert after.ran - before.ran >= 0.03, "the scheduler counts by ticks"
    assert after.waited >= before.waited >= 0


def test_where_nothing_is_said_of_a_thread_the_process_stands_for_it() -> None:
    before = time.process_time()
    assert before <= spent_by(NOBODY).ran <= time.process_time()
    assert spent_by(NOBODY).waited == 0
