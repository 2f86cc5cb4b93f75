"""The upkeep of the lake. What each part needs is imported when it is called for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta

from stroke.application.pipeline.lake_upkeep import (
    Compaction,
    Expiry,
    LakeErasure,
    LakeRewind,
    LakeState,
    Orphan,
    Orphans,
)
from stroke.config import PipelineSettings
from stroke.container.lake import lake_of

Progress = Callable[[int, int], None]
"""Gets how much is done of how much there is."""


def lake_state(settings: PipelineSettings) -> LakeState:
    """Return what the table amounts to. Raises ``ReplicaUnavailable``, as all of these do."""
    from stroke.adapters.iceberg.status import state_of  # noqa: PLC0415 -- start-up time

    return state_of(lake_of(settings.lake), settings.topic)


def compact_lake(
    settings: PipelineSettings, *, open_days: bool, dry_run: bool, on_progress: Progress
) -> Compaction:
    """Merge the small files of each closed day (UTC), with ``open_days`` of each day.

    ``on_progress`` gets bytes.
    """
    from stroke.adapters.iceberg.compaction import compact  # noqa: PLC0415 -- start-up time

    return compact(
        lake_of(settings.lake),
        now=_now,
        open_days=open_days,
        dry_run=dry_run,
        on_progress=on_progress,
    )


def expire_snapshots(
    settings: PipelineSettings,
    *,
    older_than: timedelta,
    keep: int,
    dry_run: bool,
    on_progress: Progress,
) -> Expiry:
    """Remove old snapshots, but the newest ``keep``. ``on_progress`` gets files."""
    from stroke.adapters.iceberg.expiry import expire  # noqa: PLC0415 -- start-up time

    return expire(
        lake_of(settings.lake),
        older_than=older_than,
        keep=keep,
        now=_now,
        dry_run=dry_run,
        on_progress=on_progress,
    )


def erase_from_lake(
    settings: PipelineSettings, ids: Collection[int], *, dry_run: bool, on_progress: Progress
) -> LakeErasure:
    """Take the events of these erased predictions out of the table and its history.

    ``on_progress`` gets files. Raises ``InvalidData`` while the table holds one as present.
    """
    from stroke.adapters.iceberg.erasure import erase_events  # noqa: PLC0415 -- start-up time

    return erase_events(
        lake_of(settings.lake), ids, now=_now, dry_run=dry_run, on_progress=on_progress
    )


def lake_orphans(settings: PipelineSettings, *, older_than: timedelta) -> Orphans:
    """Return the files in the table's folder that no snapshot has."""
    from stroke.adapters.iceberg.orphans import examine_orphans  # noqa: PLC0415 -- start-up time

    return examine_orphans(lake_of(settings.lake), older_than=older_than, now=_now)


def lake_rewind(settings: PipelineSettings) -> LakeRewind:
    """Return whether the catalog is behind the table's folder. May raise ``InvalidSetting``."""
    from stroke.adapters.iceberg.roll_forward import find_rewind  # noqa: PLC0415 -- start-up time

    return find_rewind(lake_of(settings.lake))


def roll_lake_forward(settings: PipelineSettings, rewind: LakeRewind) -> None:
    """Let the catalog name the newest state that ``lake_rewind`` found."""
    from stroke.adapters.iceberg.roll_forward import roll_forward  # noqa: PLC0415 -- start-up time

    roll_forward(lake_of(settings.lake), rewind)


def lake_ahead(settings: PipelineSettings) -> timedelta:
    """Return how far the newest time in the table is ahead of this clock; zero where none is."""
    from stroke.adapters.iceberg.times_ahead import ahead_of  # noqa: PLC0415 -- start-up time

    return ahead_of(lake_of(settings.lake), now=_now)


def set_lake_back(settings: PipelineSettings) -> None:
    """Let no time in the table be after this clock's. May raise ``InvalidSetting``."""
    from stroke.adapters.iceberg.times_ahead import set_back  # noqa: PLC0415 -- start-up time

    set_back(lake_of(settings.lake), now=_now)


def delete_lake_orphans(
    settings: PipelineSettings, orphans: Sequence[Orphan], *, on_progress: Progress
) -> None:
    """Delete what ``lake_orphans`` returned. ``on_progress`` gets files."""
    from stroke.adapters.iceberg.orphans import delete_orphans  # noqa: PLC0415 -- start-up time

    delete_orphans(lake_of(settings.lake), orphans, on_progress=on_progress)


def _now() -> datetime:
    return datetime.now(UTC)
