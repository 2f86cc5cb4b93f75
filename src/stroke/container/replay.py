"""What replays stored predictions: from the database, a change log, or a file.

It does without the service's container, and imports what reads a source, or outcomes, when these
are wanted: to import all of it takes as much CPU as a million rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stroke.application.analyses.changes import not_events
from stroke.application.models.ids import KnownOutcomes
from stroke.application.models.replay import Replay, ReplayOptions
from stroke.application.models.stored_rows import COLUMNS, NEEDED, batches_of
from stroke.config import DatabaseSettings, PipelineSettings, Settings
from stroke.container.change_sources import source_of
from stroke.container.named_models import named_model
from stroke.domain.errors import InvalidData
from stroke.domain.further import Further
from stroke.domain.prediction import PredictionFilter
from stroke.domain.replay import ReplayReport

if TYPE_CHECKING:
    import pyarrow as pa

    from stroke.application.analyses.ports import ChangeSource

DATABASE: Final = "db"
UNREADABLE: Final = "is no row that could be read"

_PAGE: Final = 5_000

Progress = Callable[[int, int | None], None]
"""Takes how much was read, and of how much, if that is known."""


def replay(
    settings: Settings,
    source: str,
    options: ReplayOptions,
    *,
    model: str | None = None,
    with_outcomes: bool,
    on_progress: Progress,
    note: Callable[[str], object],
) -> ReplayReport:
    """Replay the predictions of ``source`` with the ``model`` of a name: see ``named_model``.

    ``source`` is a file, or what ``stroke analytics run --source`` takes. With outcomes, those of
    the service's database are looked up by the rows' ids; a file has its own, if it has any.
    ``note`` gets how a file was read, what a source skipped, and what ``named_model`` notes. Raises
    ``ModelError``, ``InvalidData``, ``InvalidSetting``, ``StoreUnavailable`` and what the source
    raises. Not to be called from a running event loop.
    """
    replayed = named_model(settings, model, note)
    further = replayed.description.further
    within = PredictionFilter(since=options.since, until=options.until)
    outcomes = outcomes_of(settings.database, within) if with_outcomes else KnownOutcomes()
    replaying = Replay(replayed, options, outcomes)
    if Path(source).is_file():
        return _file(replaying, Path(source), options, further, on_progress=on_progress, note=note)
    changes = changes_of(source, options, with_data=bool(further))
    read = changes.read(with_name=False)
    report = replaying.run(read.rows, lambda rows: on_progress(rows, read.total))
    if skipped := not_events(read.position()):
        note(skipped)
    return report


def _file(
    replaying: Replay,
    path: Path,
    options: ReplayOptions,
    further: Further,
    *,
    on_progress: Progress,
    note: Callable[[str], object],
) -> ReplayReport:
    from stroke.container.imports import table_rows  # noqa: PLC0415

    names = [each.name for each in further]
    with table_rows(path, (*COLUMNS, *names), NEEDED, names) as file:
        batches = batches_of(file.rows, lambda: replaying.pass_over(UNREADABLE), further)
        report = replaying.run(batches, lambda _: on_progress(file.position(), file.size))
        for said in file.notes:
            note(said)
    if not report.rows and (options.since or options.until):
        raise InvalidData(f"{path} has no row with a timestamp in this time")
    return report


def changes_of(
    source: str, options: ReplayOptions, *, with_data: bool = False
) -> ChangeSource[Iterator[pa.RecordBatch]]:
    """Return the source of stored predictions that is called ``source``: see ``replay``.

    ``with_data`` adds the column ``prediction_data``.
    """
    settings = PipelineSettings.load()
    if source == DATABASE:
        from stroke.adapters.sql.snapshot import SqlChanges  # noqa: PLC0415
        from stroke.container.engines import existing_database  # noqa: PLC0415

        within = PredictionFilter(since=options.since, until=options.until)
        return SqlChanges(existing_database(settings.database), within, with_data=with_data)
    return source_of(settings, source, with_data=with_data)


def outcomes_of(database: DatabaseSettings, within: PredictionFilter) -> KnownOutcomes:
    """Return the outcomes of the service's ``database``. Raises ``StoreUnavailable``.

    Not to be called from a running event loop.
    """
    from stroke.adapters.sql.outcomes import SqlOutcomeRepository  # noqa: PLC0415
    from stroke.container.engines import opened_engine  # noqa: PLC0415

    known = KnownOutcomes()

    async def read() -> None:
        after = 0
        async with opened_engine(database) as engine:
            repository = SqlOutcomeRepository(
                engine, statement_timeout=database.statement_timeout_seconds
            )
            while page := await repository.judged(within, limit=_PAGE, after=after):
                known.add((row.prediction_id, row.stroke, row.site) for row in page)
                after = page[-1].prediction_id

    asyncio.run(read())
    return known
