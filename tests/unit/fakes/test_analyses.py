"""The fakes of the analyses keep the promises of the ports that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from builders.changes import Batches, reading
from builders.truth import EVENTS, Change
from contracts.analyses import (
    ChangeHistoryContract,
    CheckpointStoreContract,
    ContinuedSourceContract,
    EngineInThisProcessContract,
    EnvelopeFormatContract,
    EnvelopesContract,
    PlacedResultsContract,
    ReadResults,
    StatePointerContract,
)
from fakes.analyses import (
    FakeChangeSource,
    FakeCheckpoints,
    FakeEngine,
    FakeEnvelopeFormat,
    FakeEnvelopes,
    FakeHistory,
    FakePointer,
    FakeResults,
    Saved,
)
from stroke.application.analyses.changes import changes_schema
from stroke.application.analyses.ports import SourceRead
from stroke.application.analyses.queries import Analysis
from stroke.domain.errors import InvalidData, ReplicaUnavailable


class TestFakeChangeSource(ContinuedSourceContract[Batches]):
    @pytest.fixture
    def source(self) -> FakeChangeSource:
        return FakeChangeSource(EVENTS)

    @pytest.fixture
    def gone(self) -> FakeChangeSource:
        source = FakeChangeSource(EVENTS)
        source.failing = ReplicaUnavailable("away")
        return source

    @pytest.fixture
    def empty(self) -> FakeChangeSource:
        return FakeChangeSource()

    @pytest.fixture
    def add(self, empty: FakeChangeSource) -> Callable[[Sequence[Change]], None]:
        return empty.changes.extend


class TestFakeEngine(EngineInThisProcessContract):
    @pytest.fixture
    def saved(self) -> Saved:
        return Saved()

    @pytest.fixture
    def engines(self, saved: Saved) -> Callable[[], FakeEngine]:
        return lambda: FakeEngine(saved)

    @pytest.fixture
    def damage(self, saved: Saved) -> Callable[[], None]:
        return lambda: setattr(saved, "is_damaged", True)

    def reading(self, changes: Sequence[Change], *, with_name: bool = False) -> SourceRead[Batches]:
        return reading(changes, with_name=with_name)


class TestFakeResults(PlacedResultsContract):
    @pytest.fixture
    def store(self) -> FakeResults:
        return FakeResults()

    @pytest.fixture
    def read_results(self, store: FakeResults) -> ReadResults:
        def read(analysis: Analysis) -> list[dict[str, Any]] | None:
            return store.tables.get(analysis.table)

        return read

    @pytest.fixture
    def read_runs(self, store: FakeResults) -> Callable[[], list[dict[str, Any]]]:
        return lambda: store.runs

    @pytest.fixture
    def blocked(self) -> FakeResults:
        store = FakeResults()
        store.failing = InvalidData("the disk is full")
        return store


class TestFakeCheckpoints(CheckpointStoreContract):
    @pytest.fixture
    def store(self) -> FakeCheckpoints:
        return FakeCheckpoints()

    @pytest.fixture
    def spoil(self, store: FakeCheckpoints) -> Callable[[], None]:
        return lambda: setattr(store, "is_unreadable", True)

    @pytest.fixture
    def blocked(self) -> FakeCheckpoints:
        store = FakeCheckpoints()
        store.failing = InvalidData("the disk is full")
        return store


class TestFakePointer(StatePointerContract):
    @pytest.fixture
    def pointer(self) -> FakePointer:
        return FakePointer()

    @pytest.fixture
    def spoil(self, pointer: FakePointer) -> Callable[[], None]:
        return lambda: setattr(pointer, "is_unreadable", True)

    @pytest.fixture
    def blocked(self) -> FakePointer:
        pointer = FakePointer()
        pointer.failing = InvalidData("the disk is full")
        return pointer


class TestFakeHistory(ChangeHistoryContract):
    @pytest.fixture
    def history(self) -> FakeHistory:
        return FakeHistory()

    @pytest.fixture
    def grow(self, history: FakeHistory) -> Callable[[], None]:
        return lambda: setattr(history, "snapshots", history.snapshots + 1)


class TestFakeEnvelopeFormat(EnvelopeFormatContract):
    @pytest.fixture
    def format_(self) -> FakeEnvelopeFormat:
        return FakeEnvelopeFormat()


class TestFakeEnvelopes(EnvelopesContract):
    @pytest.fixture
    def envelopes(self) -> FakeEnvelopes:
        return FakeEnvelopes(changes_schema(with_name=True), 3)
