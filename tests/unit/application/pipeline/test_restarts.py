from __future__ import annotations

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
