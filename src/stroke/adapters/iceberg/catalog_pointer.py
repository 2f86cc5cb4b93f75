"""The row of a catalog's database that says which metadata file is the table's state."""

from __future__ import annotations

from dataclasses import dataclass

from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.domain.errors import InvalidSetting, ReplicaUnavailable


@dataclass(frozen=True, slots=True)
class CatalogPointer:
    """The table ``namespace.name`` of a jdbc catalog, and where its metadata file is."""

    catalog: SqlCatalog
    namespace: str
    name: str
    location: str

    @classmethod
    def of(cls, lake: Lake, change: str) -> CatalogPointer:
        """Read the row of ``lake``; ``change`` says in a participle what is to be done to it.

        Raises ``ReplicaUnavailable``, and ``InvalidSetting`` for a catalog that is no database.
        """
        catalog = lake.catalog
        if not isinstance(catalog, SqlCatalog):
            raise InvalidSetting(
                f"only a jdbc catalog can be {change}: the state of another one is its service's"
            )
        namespace, _, name = lake.identifier.rpartition(".")
        found = cls(catalog, namespace, name, "")
        with unavailable(lake.identifier), Session(catalog.engine) as session:
            location = session.scalar(
                select(IcebergTables.metadata_location).where(*found._conditions())
            )
            if location is None:
                raise NoSuchTableError(lake.identifier)
        return cls(catalog, namespace, name, location)

    def move_to(self, location: str) -> None:
        """Let the catalog name ``location``. Raises ``ReplicaUnavailable``.

        So it does where the catalog does not name ``self.location`` any more.
        """
        identifier = f"{self.namespace}.{self.name}"
        with unavailable(identifier), Session(self.catalog.engine) as session:
            changed = session.execute(
                update(IcebergTables)
                .where(*self._conditions(), IcebergTables.metadata_location == self.location)
                .values(metadata_location=location, previous_metadata_location=self.location)
            )
            session.commit()
            if not getattr(changed, "rowcount", 0):
                raise ReplicaUnavailable(
                    f"the catalog of {identifier} was changed meanwhile: stop the connectors"
                )

    def _conditions(self) -> tuple[ColumnElement[bool], ...]:
        return (
            IcebergTables.catalog_name == self.catalog.name,
            IcebergTables.table_namespace == self.namespace,
            IcebergTables.table_name == self.name,
        )
