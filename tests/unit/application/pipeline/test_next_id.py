"""After a restore MySQL gives only ids that nobody has heard of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.pipeline import FakeTopics
from fakes.verification import TOPIC, FakeReplica, FakeSource
from stroke.application.pipeline.next_id import REACH, NextIds, next_id
from stroke.domain.errors import InvalidData
from stroke.domain.prediction import LARGEST_ID

pytestmark = pytest.mark.anyio

IDS = st.none() | st.integers(1, LARGEST_ID - 1)


@given(st.integers(1, 10**9), IDS, IDS, IDS, IDS)
def test_the_next_id_is_above_all_that_the_binlog_wrote_and_all_that_is_believed(
    gives: int, stored: int | None, lake: int | None, topic: int | None, sql: int | None
) -> None:
    found = next_id(gives, stored=stored, logs={"lake": lake, "topic": topic}, copies={"sql": sql})

    assert found.wanted >= gives
    assert all(found.wanted > (seen or 0) for seen in (stored, lake, topic))
    assert found.wanted > (sql or 0) or "sql" in found.unbelieved
    assert found.is_safe == (found.wanted == gives)


@pytest.mark.parametrize(
    ("ghost", "wanted"),
    [(70 + REACH, 71 + REACH), (71 + REACH, 71), (LARGEST_ID, 71), (None, 71), (12, 71)],
)
def test_a_row_far_above_all_others_that_only_a_copy_has_spends_no_ids(
    ghost: int | None, wanted: int
) -> None:
    found = next_id(50, stored=49, logs={"lake": 70}, copies={"sql": ghost})

    assert found.wanted == wanted
    assert found.unbelieved == (["sql"] if (ghost or 0) >= wanted else [])


def test_the_last_id_that_there_is_does_not_overflow() -> None:
    found = next_id(1, stored=None, logs={"lake": LARGEST_ID}, copies={})
    assert found.wanted <= LARGEST_ID


def ids(source: FakeSource, topics: FakeTopics, *, lake: int, sql: int) -> NextIds:
    return NextIds(
        source,
        topics,
        name=TOPIC,
        logs={"the lake": FakeReplica({lake: b""}, name="s3")},
        copies={"the SQL copy": FakeReplica({sql: b""})},
    )


async def test_mysql_continues_above_the_highest_id_of_any_place() -> None:
    source, topics = FakeSource({1: b"", 20: b""}), FakeTopics()
    topics.ids[TOPIC] = 95
    asked = ids(source, topics, lake=90, sql=70)

    found = await asked.look()
    assert found.seen == {
        "MySQL": 20,
        "the lake": 90,
        f"the topic {TOPIC}": 95,
        "the SQL copy": 70,
    }
    done = await asked.settle(found)

    assert (found.gives, found.wanted, found.is_safe) == (21, 96, False)
    assert (done.gives, done.is_safe) == (96, True)
    assert await source.next_id() == 96


async def test_what_is_safe_is_left_as_it_is() -> None:
    source = FakeSource({20: b""})
    await source.continue_at(500)
    asked = ids(source, FakeTopics(), lake=90, sql=70)

    found = await asked.look()
    assert found.is_safe
    assert (await asked.settle(found)).gives == 500


async def test_without_its_topic_kafka_is_not_asked() -> None:
    topics = FakeTopics()
    topics.ids[TOPIC] = 95

    found = await ids(FakeSource({20: b""}), topics, lake=90, sql=70).look(with_topic=False)

    assert found.wanted == 91


async def test_a_table_that_gives_no_ids_is_said_to_be() -> None:
    source = FakeSource({20: b""})
    source.gives = None

    with pytest.raises(InvalidData, match="AUTO_INCREMENT"):
        await ids(source, FakeTopics(), lake=1, sql=1).look()
