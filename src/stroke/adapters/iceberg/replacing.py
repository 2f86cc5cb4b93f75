"""Replaces some data files by others in one commit, whatever the sink commits meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table, Transaction
from pyiceberg.table.update.snapshot import _OverwriteFiles

from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.rewriting import discard
from stroke.domain.errors import ReplicaUnavailable

_ATTEMPTS: Final = 20

NewSnapshot = Callable[[Table, Transaction], _OverwriteFiles]
"""Begins the snapshot of a transaction on a table that was just loaded."""


def replace_files(
    lake: Lake,
    tasks: Sequence[FileScanTask],
    made: Sequence[DataFile],
    begin: NewSnapshot,
) -> None:
    """Commit ``made`` in the place of the files of ``tasks``.

    Raises ``ReplicaUnavailable``, and deletes what was made, when others changed one of the old
    files meanwhile. An error that leaves open whether it was committed keeps the new files.
    """
    old = {task.file.file_path: _deletes(task) for task in tasks}
    for _ in range(_ATTEMPTS):
        table = lake.load()
        found = {task.file.file_path: _deletes(task) for task in table.scan().plan_files()}
        if any(found.get(path) != deletes for path, deletes in old.items()):
            break
        try:
            with table.transaction() as transaction:
                replacing = begin(table, transaction)
                for task in tasks:
                    replacing.delete_data_file(task.file)
                for file in made:
                    replacing.append_data_file(file)
                replacing.commit()
        except (CommitFailedException, ValidationException):
            continue  # pyiceberg takes any append for a conflict
        return
    discard(lake.load(), *made)
    raise ReplicaUnavailable(
        f"files of {lake.identifier} were changed by something else meanwhile: run it once more"
    )


def _deletes(task: FileScanTask) -> frozenset[str]:
    return frozenset(file.file_path for file in task.delete_files)
