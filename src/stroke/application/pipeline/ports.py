"""The ports through which the change-data pipeline is run and verified."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from stroke.application.pipeline.consistency import (
    Comparison,
    DeadLetter,
    Lineage,
    NextRecord,
    ReplicaChunk,
    Row,
    SourceChunk,
    TopicRecord,
)
from stroke.application.pipeline.kafka_connect_model import (
    ConnectorConfig,
    ConnectorSpec,
    ConnectorStatus,
    TopicPartition,
)
from stroke.domain.errors import Violation


class ConnectorSpecs(Protocol):
    """The connectors as their files define them. Calls raise ``InvalidData`` for a broken file."""

    @abstractmethod
    def names(self) -> dict[str, str]:
        """Return the name of each connector by the name of its file, both as they are written."""

    @abstractmethod
    def load(self, file: str, *, cluster_id: str) -> ConnectorSpec:
        """Return what the file says for the Kafka cluster with this id."""


class ConnectorRegistry(Protocol):
    """The connectors that Kafka Connect runs. Every call may raise ``ConnectUnavailable``."""

    @abstractmethod
    async def cluster_id(self) -> str:
        """Return the id of the Kafka cluster that Connect works on."""

    @abstractmethod
    async def names(self) -> list[str]:
        """Return the names of all connectors, sorted."""

    @abstractmethod
    async def config(self, name: str) -> ConnectorConfig | None:
        """Return a connector's stored config without ``name``, or None if there is none."""

    @abstractmethod
    async def known_keys(self, connector_class: str) -> frozenset[str]:
        """Return the settings that a class of connectors declares; none of an unknown class."""

    @abstractmethod
    async def check(self, name: str, config: ConnectorConfig) -> list[Violation]:
        """Return the violations that Connect's own validation finds in ``config``, by key."""

    @abstractmethod
    async def put(self, name: str, config: ConnectorConfig) -> None:
        """Create the connector, or give it another config."""

    @abstractmethod
    async def remove(self, name: str) -> None:
        """Remove the connector; its offsets stay. Raises ``ConnectorNotFound``."""


class ConnectorControl(Protocol):
    """Starts, stops and positions connectors that are registered.

    Calls raise ``ConnectorNotFound`` and ``ConnectUnavailable``.
    """

    @abstractmethod
    async def status(self, name: str) -> ConnectorStatus:
        """Return the state of the connector and of its tasks."""

    @abstractmethod
    async def restart(self, name: str, *, only_failed: bool = True) -> None:
        """Restart the connector and its tasks, or only those of them that failed."""

    @abstractmethod
    async def pause(self, name: str) -> None:
        """Let the tasks wait, keeping what they hold."""

    @abstractmethod
    async def stop(self, name: str) -> None:
        """Shut the tasks down; needed before ``set_offsets``."""

    @abstractmethod
    async def resume(self, name: str) -> None:
        """Continue after ``pause`` or ``stop``."""

    @abstractmethod
    async def offsets(self, name: str) -> dict[TopicPartition, int]:
        """Return the next offset that a sink connector reads, by partition, as committed."""

    @abstractmethod
    async def set_offsets(self, name: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Set the offsets from which a stopped sink connector continues."""


class SourceProgress(Protocol):
    """The progress of a source connector.

    Calls raise ``ConnectorNotFound`` and ``ConnectUnavailable``.
    """

    @abstractmethod
    async def source_position(self, name: str) -> str | None:
        """Return the GTID set that a source connector has committed, if it has one."""


class ChangeTopic(Protocol):
    """What is on Kafka. Calls raise ``BrokerUnavailable``."""

    @abstractmethod
    async def last_offsets(self, topic: str) -> dict[TopicPartition, int]:
        """Return the offset of the last committed record of each partition that has any.

        Transaction markers and tombstones (no value) have offsets too; they do not count. A topic
        that is not there has no partitions.
        """

    @abstractmethod
    async def highest_id(self, topic: str) -> int | None:
        """Return the highest id in the keys of all committed records, tombstones included.

        None where no key holds an id. Reads the whole topic.
        """

    @abstractmethod
    async def ensure_topic(self, topic: str, config: Mapping[str, str]) -> bool:
        """Create ``topic`` with one partition if it is not there; return whether it was made.

        It can be used at once: the leader of each partition knows it.
        """

    @abstractmethod
    async def limit(self, topic: str) -> int | None:
        """Return how large a record of ``topic`` may be, in bytes; None if it is not there."""

    @abstractmethod
    async def set_limit(self, topic: str, most: int) -> None:
        """Let a topic that is there take records of up to ``most`` bytes; the rest of it stays."""


class TopicRecords(Protocol):
    """What any topic holds, decoded. Calls raise ``BrokerUnavailable``."""

    @abstractmethod
    async def records(self, topic: str, *, start: int | None, limit: int) -> list[TopicRecord]:
        """Return up to ``limit`` committed records from ``start`` on, of each partition in turn.

        ``start`` None means the last ones. Raises ``InvalidData`` for a topic that is not there.
        """


class DeadLetterQueue(Protocol):
    """The topics where Connect, or ``park``, puts records that a sink cannot take.

    Calls raise ``BrokerUnavailable``.
    """

    @abstractmethod
    async def letters(self, topic: str) -> list[DeadLetter]:
        """Return all letters of a dead-letter topic, oldest first; none if it does not exist."""

    @abstractmethod
    async def park(
        self,
        source: TopicPartition,
        *,
        first: int,
        last: int | None,
        topic: str,
        connector: str,
        reason: str,
        cause: str = "",
    ) -> list[DeadLetter]:
        """Copy records of ``source``, bytes and headers, to ``topic``; return their letters.

        All committed ones with ``first <= offset <= last``; ``last`` None means the first one from
        ``first`` on. Transaction markers have offsets, too: they are passed over. There may be no
        record: then there is no letter.
        """

    @abstractmethod
    async def next_record(self, source: TopicPartition, first: int) -> NextRecord | None:
        """Return the first committed record with ``first <= offset``; None if there is none."""

    @abstractmethod
    async def settle(self, topic: str, letters: Sequence[DeadLetter]) -> None:
        """Mark these letters as settled."""


class SourceOfTruth(Protocol):
    """The service's table, read for comparison. Calls raise ``StoreUnavailable``."""

    @abstractmethod
    async def bounds(self) -> tuple[int, int] | None:
        """Return the lowest and the highest id, or None when there is no row."""

    @abstractmethod
    async def count(self) -> int:
        """Return how many rows there are."""

    @abstractmethod
    async def boundary(self, first: int, count: int) -> int | None:
        """Return the id of the ``count``-th row from ``first`` on; None if there are fewer."""

    @abstractmethod
    async def chunk(self, first: int, last: int) -> SourceChunk:
        """Return the digest of each row with ``first <= id <= last``."""

    @abstractmethod
    async def uncompared(self) -> dict[str, str]:
        """Return the types of the columns that no digest holds in full, by the columns' names.

        A column of which only some values do not count is among them once a chunk had such a
        value; the words after its type say which values these are.
        """

    @abstractmethod
    async def position(self) -> str:
        """Return the GTID set executed so far."""

    @abstractmethod
    async def includes(self, position: str, wanted: str) -> bool:
        """Return whether the GTID set ``position`` holds all of ``wanted``."""

    @abstractmethod
    async def next_id(self) -> int | None:
        """Return the id that the next row gets, or None where rows bring their own."""

    @abstractmethod
    async def continue_at(self, number: int) -> None:
        """Let the next row get this id, or the highest one and one more if that is above it."""

    @abstractmethod
    async def bring_back(self, rows: Mapping[int, Row]) -> list[int]:
        """Insert rows that a copy has, by their ids; return the ids that were inserted, ascending.

        A row whose id is stored is left as it is. Columns that the table does not have are left
        out. Raises ``InvalidData`` for a row that the table refuses; then none is inserted.
        """

    @abstractmethod
    async def send_again(self, ids: Sequence[int]) -> None:
        """Ask for an incremental snapshot of the rows with these ids that exist."""

    @abstractmethod
    async def send_deletes(self, ids: Sequence[int]) -> list[int]:
        """Write the deletion of these ids to the binlog again; return the ids written, ascending.

        Two kinds of ids are skipped: that of a stored row, and one that no row can have had,
        because it is below 1 or far above the highest. ``next_id`` grows by ids that follow it.
        """


class Replica(Protocol):
    """A copy that sinks keep. Calls raise ``ReplicaUnavailable``."""

    name: str
    keeps_history: bool
    """Whether ``count`` counts events, of which each row has one or more, instead of rows."""

    @abstractmethod
    async def count(self) -> int:
        """Return how many rows, or events, there are; quickly."""

    @abstractmethod
    async def bounds(self) -> tuple[int, int] | None:
        """Return the lowest and the highest id, or None when there is no row."""

    @abstractmethod
    async def chunk(self, first: int, last: int) -> ReplicaChunk:
        """Return the digest of each present row with ``first <= id <= last``."""

    @abstractmethod
    async def read_rows(self, first: int, last: int) -> dict[int, Row]:
        """Return each present row with ``first <= id <= last``, by its id."""

    @abstractmethod
    async def reached(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Return whether the records up to and including ``offsets`` are visible in the copy.

        A copy that is read from a snapshot is read as of the last such call. May ask Kafka Connect
        who writes the copy and how far it is, and raise ``ConnectUnavailable``.
        """


class ChangeLog(Protocol):
    """The Iceberg table of change events. Calls raise ``ReplicaUnavailable``."""

    @abstractmethod
    async def ensure_table(self) -> bool:
        """Create the table, partitioned by day, if it is not there; return whether it was made."""

    @abstractmethod
    async def lineage(self) -> Lineage | None:
        """Return which Kafka cluster wrote last and up to which offsets; None without a table."""


class PipelineObserver(Protocol):
    """Receives pipeline events; must neither block nor raise."""

    @abstractmethod
    def connector(self, name: str, *, running: bool) -> None:
        """The connector, with all of its tasks, runs or does not."""

    @abstractmethod
    def restarted(self, name: str) -> None:
        """The connector was restarted because it failed or stood still."""

    @abstractmethod
    def unhealed(self, name: str, *, restarts: int) -> None:
        """So many restarts in a row did not heal the same failure; 0 if that is not so (now)."""

    @abstractmethod
    def sink_failed(self, name: str, cause: str) -> None:
        """A sink failed now, of ``cause`` in words; none if it has written something since."""

    @abstractmethod
    def sink(self, name: str, *, lag: int, stalled: bool) -> None:
        """A sink has ``lag`` records to write; ``stalled`` says if it makes no progress."""

    @abstractmethod
    def lake_gap(self, records: int) -> None:
        """``records`` records were committed as read and did not reach the Iceberg table."""

    @abstractmethod
    def verified(self, comparisons: Sequence[Comparison]) -> None:
        """Every replica was compared with the source."""
