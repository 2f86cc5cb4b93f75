from __future__ import annotations

from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.application.pipeline.sink_progress import LakeGap, SinkProgress, lag

AT = TopicPartition("changes", 0)


def test_lag_counts_what_is_left_to_read() -> None:
    assert lag({AT: 5}, {AT: 9}) == 5
    assert lag({}, {AT: 9}) == 10
    assert lag({AT: 12}, {AT: 9}) == 0  # past a transaction's marker
    assert lag({AT: 5}, {}) == 0


def test_a_sink_that_has_records_to_go_and_does_not_move_stands_still() -> None:
    progress = SinkProgress()
    assert progress.seconds_still(0, {AT: 5}, {AT: 9}) == 0
    assert progress.seconds_still(30, {AT: 5}, {AT: 20}) == 30


def test_one_that_moves_or_has_nothing_to_read_does_not() -> None:
    progress = SinkProgress()
    progress.seconds_still(0, {AT: 5}, {AT: 9})
    assert progress.seconds_still(30, {AT: 6}, {AT: 9}) == 0
    assert progress.seconds_still(60, {AT: 10}, {AT: 9}) == 0
    assert progress.seconds_still(900, {AT: 10}, {AT: 9}) == 0
    assert progress.seconds_still(910, {AT: 10}, {AT: 10}) == 10


def test_a_restarted_sink_gets_its_time_and_stays_stalled_until_it_moves() -> None:
    progress = SinkProgress()
    progress.seconds_still(0, {AT: 5}, {AT: 9})
    progress.was_restarted(30)
    assert progress.seconds_still(40, {AT: 5}, {AT: 9}) == 10
    assert progress.stalled
    progress.seconds_still(50, {AT: 6}, {AT: 9})
    assert not progress.stalled


def test_rows_on_their_way_to_the_table_are_no_gap() -> None:
    gap = LakeGap(60)
    # Always some behind, as under load, but each commit's rows come in the end.
    for now in range(0, 600, 30):
        assert gap.records(now, {AT: now + 100}, {AT: now + 69}) == 0


def test_rows_that_do_not_come_are_a_gap_once_patience_ends() -> None:
    gap = LakeGap(60)
    assert gap.records(0, {AT: 100}, {AT: 49}) == 0
    assert gap.records(59, {AT: 200}, {AT: 49}) == 0
    assert gap.records(60, {AT: 200}, {AT: 49}) == 150
    assert gap.records(70, {AT: 200}, {AT: 199}) == 0


def test_a_table_without_any_row_of_this_cluster_lacks_all_that_was_committed() -> None:
    gap = LakeGap(60)
    gap.records(0, {AT: 100}, {})
    assert gap.records(60, {AT: 100}, {}) == 100
