from __future__ import annotations

import itertools

from stroke.application.pipeline.restarts import RestartPolicy, Restarts, Verdict

POLICY = RestartPolicy(first_pause=5, longest_pause=20, at_most=5, window=1000)


def test_the_pause_doubles_up_to_the_longest() -> None:
    restarts = Restarts(POLICY)
    restarted_at = [now for now in range(60) if restarts.ask(now) is Verdict.RESTART]
    assert restarted_at == [0, 5, 15, 35, 55]


def test_after_the_cap_it_gives_up_and_says_so_again_and_again() -> None:
    restarts = Restarts(POLICY)
    verdicts = {now: restarts.ask(now) for now in range(0, 140, 20)}
    assert [now for now, verdict in verdicts.items() if verdict is Verdict.RESTART] == [
        *(0, 20, 40, 60, 80)
    ]
    assert verdicts[100] is verdicts[120] is Verdict.GIVE_UP
    assert restarts.ask(121) is Verdict.WAIT


def test_a_restart_becomes_possible_again_when_the_first_ones_are_long_ago() -> None:
    restarts = Restarts(POLICY)
    for now in range(0, 120, 20):
        restarts.ask(now)
    assert restarts.ask(999) is not Verdict.RESTART
    assert restarts.ask(1000) is Verdict.RESTART


def test_one_that_fails_right_after_each_start_reaches_the_cap() -> None:
    restarts = Restarts(POLICY)
    verdicts = []
    for now in range(0, 120, 20):
        verdicts.append(restarts.ask(now))
        assert restarts.well() is True
        assert restarts.well() is False
    assert verdicts == [Verdict.RESTART] * 5 + [Verdict.GIVE_UP]


def test_one_that_runs_again_after_it_was_given_up_starts_afresh() -> None:
    restarts = Restarts(POLICY)
    for now in range(0, 120, 20):
        restarts.ask(now)
    restarts.well()
    assert restarts.ask(121) is Verdict.RESTART


def test_what_never_failed_did_not_recover() -> None:
    assert Restarts(POLICY).well() is False


def test_the_same_failure_after_three_restarts_is_retried_ever_more_slowly() -> None:
    policy = RestartPolicy(first_pause=5, longest_pause=20, at_most=100, slowest_pause=100)
    restarts = Restarts(policy)
    restarted_at = []
    for now in range(600):
        if restarts.ask(now, "too long") is Verdict.RESTART:
            restarted_at.append(now)
        assert not (restarts.is_unhealed and restarts.well(now)), "it fails a second later"
    pauses = [b - a for a, b in itertools.pairwise(restarted_at)]
    assert pauses == [5, 10, 40, 80, 100, 100, 100, 100]


def test_another_failure_is_a_new_one() -> None:
    restarts = Restarts(POLICY)
    for now in (0, 20, 40):
        restarts.ask(now, "too long")
    assert restarts.is_unhealed
    restarts.ask(60, "read-only")
    assert not restarts.is_unhealed


def test_one_that_has_run_for_long_enough_has_recovered_and_starts_afresh() -> None:
    restarts = Restarts(POLICY)
    for now in (0, 20, 40):
        restarts.ask(now, "too long")
    assert restarts.well(40 + POLICY.steady - 1) is False
    assert restarts.well(40 + POLICY.steady) is True
    assert not restarts.is_unhealed
