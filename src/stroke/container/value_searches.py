"""What `stroke erase prove` searches for values: all that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.application.erasure.ports import ValueSearch
from stroke.config import PipelineSettings
from stroke.config.urls import S3
from stroke.container.configured import has_kafka, has_lake, has_sql_sink

_T = TypeVar("_T")


def value_searches(
    settings: PipelineSettings,
    engine: AsyncEngine,
    closing: AsyncExitStack,
    *,
    on_lake: Callable[[int, int], None],
) -> list[ValueSearch]:
    """Return the service's database on ``engine``, and each copy; ``closing`` ends what is opened.

    ``on_lake`` receives how many objects of the bucket are done, and how many there are.
    """
    from stroke.adapters.value_search.sql import SqlValueSearch  # noqa: PLC0415 -- start-up time

    seconds = settings.database.statement_timeout_seconds

    async def call(work: Callable[[Connection], _T]) -> _T:
        async with transaction(engine, seconds=seconds) as connection:
            return await connection.run_sync(work)

    found: list[ValueSearch] = [SqlValueSearch("database", call)]
    if has_sql_sink(settings):
        sink = settings.sink
        found.append(_of_copy("SQL copy", sink.sqlalchemy_url, [sink.table], seconds, closing))
    if has_lake(settings):
        found.append(_bucket(settings, on_lake))
    if has_kafka(settings):
        from stroke.adapters.kafka.value_search import TopicValueSearch  # noqa: PLC0415 -- package

        kafka = settings.kafka
        found.append(
            TopicValueSearch(kafka.broker, kafka.registry_url, timeout=kafka.timeout_seconds)
        )
    found += [_of_analyses(settings, each, closing) for each in settings.erasure.analyses]
    return found


def _bucket(settings: PipelineSettings, on_lake: Callable[[int, int], None]) -> ValueSearch:
    from stroke.adapters.value_search.files import FolderValueSearch  # noqa: PLC0415 -- start-up
    from stroke.container.places import place_of  # noqa: PLC0415 -- start-up time

    bucket, backups = settings.lake.bucket, settings.erasure.backups or ""
    return FolderValueSearch(
        f"bucket {bucket}",
        *place_of(settings.lake, f"{S3}{bucket}"),
        # Packed, and often encrypted: what a backup keeps has a date instead.
        without=[backups.removeprefix(S3)] if backups.startswith(f"{S3}{bucket}/") else [],
        on_progress=on_lake,
    )


def _of_analyses(settings: PipelineSettings, address: str, closing: AsyncExitStack) -> ValueSearch:
    if "://" in address and not address.startswith(S3):
        from stroke.application.analyses.queries import analyses  # noqa: PLC0415 -- start-up time
        from stroke.config import results_url  # noqa: PLC0415 -- start-up time

        url = results_url(address)
        tables = [each.table for each in analyses()]
        name = f"analyses in {url.render_as_string(hide_password=True)}"
        seconds = settings.database.statement_timeout_seconds
        return _of_copy(name, url, tables, seconds, closing)
    from stroke.adapters.value_search.files import FolderValueSearch  # noqa: PLC0415 -- start-up
    from stroke.container.places import place_of  # noqa: PLC0415 -- start-up time

    return FolderValueSearch(f"analyses in {address}", *place_of(settings.lake, address))


def _of_copy(
    name: str, url: URL, tables: Sequence[str], seconds: float, closing: AsyncExitStack
) -> ValueSearch:
    from stroke.adapters.sql_sink.database import SinkDatabase  # noqa: PLC0415 -- needs drivers
    from stroke.adapters.value_search.sql import SqlValueSearch  # noqa: PLC0415 -- start-up time

    database = SinkDatabase(url, timeout=seconds, name=f"the database of the {name}")
    closing.push_async_callback(database.close)
    return SqlValueSearch(name, database.call, tables=tables)
