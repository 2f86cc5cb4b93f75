"""An index from predictions to the data files that hold their events."""

from __future__ import annotations

from pyiceberg.table import FileScanTask, Table

from stroke.adapters.iceberg.statistics import id_bounds

Bounds = tuple[int, int]


class FileIndex:
    """The bounds of the ids of each data file of a table, as of the last ``refresh``.

    To plan a scan reads every manifest, and an Avro file has no bounds but its rows: done once,
    a table can be read in many small ranges. Grows with the number of files, not of rows.
    """

    def __init__(self) -> None:
        self._snapshot: int | None = None
        self._files: list[tuple[Bounds, FileScanTask]] = []

    def refresh(self, table: Table) -> None:
        """Index the files that a loaded table has now; known files are not read again."""
        snapshot = table.current_snapshot()
        if snapshot is None:
            self._snapshot, self._files = None, []
        elif snapshot.snapshot_id != self._snapshot:
            known = {task.file.file_path: bounds for bounds, task in self._files}
            self._files = [
                (bounds, task)
                for task in table.scan().plan_files()
                if (bounds := known.get(task.file.file_path) or id_bounds(table, task.file))
            ]
            self._snapshot = snapshot.snapshot_id

    @property
    def bounds(self) -> Bounds | None:
        """The lowest and the highest id of any event, or None when there is none."""
        if not self._files:
            return None
        return min(low for (low, _), _ in self._files), max(high for (_, high), _ in self._files)

    def about(self, first: int, last: int) -> list[FileScanTask]:
        """Return the files that may hold events of an id with ``first <= id <= last``."""
        return [task for (low, high), task in self._files if low <= last and first <= high]
