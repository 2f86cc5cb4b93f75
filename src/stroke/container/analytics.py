"""Composition root of the analyses: which engine and which store stand behind a name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, TypeVar

from stroke.adapters.duckdb.engine import Batches, DuckDbEngine
from stroke.adapters.results.checkpoints import FolderCheckpoints
from stroke.adapters.results.folder import FolderResults
from stroke.adapters.results.memory import KeptResults
from stroke.adapters.sql_sink.results import SqlResults
from stroke.application.analyses.ports import (
    AnalyticsEngine,
    ChangeSource,
    Progress,
    ResultStore,
)
from stroke.application.analyses.queries import analyses, chosen
from stroke.application.analyses.service import AnalyticsService
from stroke.config import LakeSettings, PipelineSettings, results_url
from stroke.config.urls import S3
from stroke.container.change_sources import source_of
from stroke.container.clock import utc_now
from stroke.container.places import place_of
from stroke.domain.errors import InvalidSetting

Rows = TypeVar("Rows")

_NAMED: Final = ("iceberg", "db", "kafka")


@contextmanager
def duckdb_analytics(
    settings: PipelineSettings,
    *,
    source: str,
    output: str | ResultStore,
    as_of: datetime | None = None,
    checkpoint: str | None = None,
    site: str | None = None,
    memory_mib: int = 1024,
) -> Iterator[AnalyticsService[Batches]]:
    """Give what runs analyses of ``source`` in this process, and writes them to ``output``.

    ``source`` is "iceberg", "db", "kafka", or a folder or ``s3://`` prefix of Avro files.
    ``output`` is a folder, an ``s3://`` prefix, a database's URL, or the store itself.
    ``checkpoint`` is a folder or prefix for what lets the next run read only what is new. DuckDB
    uses at most ``memory_mib`` of memory. With a ``site``, its predictions alone are read. Raises
    ``InvalidSetting``.
    """
    if checkpoint is not None and (as_of is not None or source != "iceberg"):
        raise InvalidSetting("--checkpoint is for the change log as it is now (--source iceberg)")
    check_site(site, source=source, checkpoint=checkpoint)
    changes = source_of(settings, source, as_of, site)
    kept = None if checkpoint is None else FolderCheckpoints(*place_of(settings.lake, checkpoint))
    with DuckDbEngine(memory_mib=memory_mib, checkpoints=kept) as engine:
        yield service_on(
            engine,
            changes,
            settings,
            engine_name="duckdb",
            source=source,
            output=output,
            site=site,
        )


def check_site(site: str | None, *, source: str, checkpoint: str | None) -> None:
    """Raise ``InvalidSetting`` where a run cannot be narrowed to a site."""
    if site is None:
        return
    if source not in {"iceberg", "db"}:
        raise InvalidSetting("--site is for the change log and the database (iceberg, db)")
    if checkpoint is not None:
        raise InvalidSetting("--checkpoint is for the predictions of all sites: without --site")


def service_on(
    engine: AnalyticsEngine[Rows],
    changes: ChangeSource[Rows],
    settings: PipelineSettings,
    *,
    engine_name: str,
    source: str,
    output: str | ResultStore,
    site: str | None = None,
) -> AnalyticsService[Rows]:
    """Return what runs analyses of ``changes``, which ``source`` names, on ``engine``.

    ``output`` is what ``duckdb_analytics`` takes. Raises ``InvalidSetting``.
    """
    return AnalyticsService(
        engine,
        changes,
        results_at(settings.lake, output),
        source_name=source if source in _NAMED else "avro",
        engine_name=engine_name,
        now=utc_now,
        site=site,
    )


def page_of_a_run(
    settings: PipelineSettings,
    *,
    source: str,
    as_of: datetime | None,
    site: str | None,
    minimum: int,
    memory_mib: int,
    on_progress: Progress,
) -> str:
    """Run all analyses without patients now; return the HTML page of their results.

    Smaller groups than ``minimum`` report no rates; the others are those of ``duckdb_analytics``.
    """
    from stroke.adapters.report.analyses import render  # noqa: PLC0415 -- start-up time

    kept = KeptResults()
    with duckdb_analytics(
        settings, source=source, output=kept, as_of=as_of, site=site, memory_mib=memory_mib
    ) as service:
        wanted = chosen([], analyses(minimum=minimum))
        service.run(wanted, with_name=False, on_progress=on_progress)
    return render(kept.run, kept.tables)


def page_of_results(settings: PipelineSettings, address: str) -> str:
    """Return the HTML page of the results in a folder or under an ``s3://`` prefix.

    Raises ``InvalidData`` where no results are.
    """
    from stroke.adapters.report.analyses import render  # noqa: PLC0415 -- start-up time

    folder = FolderResults(*place_of(settings.lake, address))
    run = folder.read_run()
    written = [each for each in analyses() if each.name in run["rows"] and not each.patient_level]
    return render(run, [(each, folder.read(each)) for each in written])


def results_at(settings: LakeSettings, output: str | ResultStore) -> ResultStore:
    """Return the store at ``output``: see ``duckdb_analytics``. Raises ``InvalidSetting``."""
    if not isinstance(output, str):
        return output
    if "://" in output and not output.startswith(S3):
        return SqlResults(results_url(output))
    return FolderResults(*place_of(settings, output))
