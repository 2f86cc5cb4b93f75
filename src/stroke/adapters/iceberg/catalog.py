"""Iceberg catalogs: JDBC, REST and Glue."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import ValidationError
from pyiceberg.exceptions import NoSuchTableError, RESTError
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from stroke.domain.errors import InvalidSetting, ReplicaUnavailable

if TYPE_CHECKING:  # start-up time: each takes half a second to import
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

CatalogKind = Literal["jdbc", "glue", "rest"]

_SYNCHRONOUS: Final = {"mysql": "mysql+pymysql", "sqlite": "sqlite"}


class Lake:
    """One Iceberg table in a bucket, opened on first use.

    ``name`` is the catalog's name: a JDBC catalog keeps its tables under it, so that another name
    finds none. ``glue_retries`` is how often a call of Glue is repeated that fails or is throttled.
    Safe to use from several threads.
    """

    def __init__(
        self,
        kind: CatalogKind,
        *,
        name: str,
        uri: str | None,
        warehouse: str,
        table: str,
        region: str,
        endpoint: str | None = None,
        path_style: bool = False,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        glue_retries: int = 10,
    ) -> None:
        self.identifier = table
        self._kind = kind
        self._name = name
        self._uri = uri
        given = {
            "warehouse": warehouse,
            # "client": of S3 and of Glue
            "client.region": region,
            "client.access-key-id": access_key_id,
            "client.secret-access-key": secret_access_key,
            "s3.endpoint": endpoint,
            "s3.force-virtual-addressing": "false" if path_style else None,
        }
        self._properties = {key: value for key, value in given.items() if value is not None}
        self._glue_retries = glue_retries
        self._catalog: Catalog | None = None
        self._opening = threading.Lock()

    @property
    def catalog(self) -> Catalog:
        """The catalog. Raises ``ReplicaUnavailable`` or ``InvalidSetting``."""
        with self._opening:
            if self._catalog is None:
                with unavailable(self.identifier):
                    self._catalog = self._open()
            return self._catalog

    def load(self) -> Table:
        """Return the table as it is now. Raises ``ReplicaUnavailable``."""
        with unavailable(self.identifier):
            return self.catalog.load_table(self.identifier)

    def find(self) -> Table | None:
        """Return the table as it is now, or None if there is none."""
        with unavailable(self.identifier):
            try:
                return self.catalog.load_table(self.identifier)
            except NoSuchTableError:
                return None

    def _open(self) -> Catalog:
        if self._kind == "glue":
            from pyiceberg.catalog.glue import GlueCatalog  # noqa: PLC0415 -- needs boto3

            # pyiceberg hands the number to botocore as it is, which does not read texts; it says
            # nothing of AWS_MAX_ATTEMPTS.
            properties: dict[str, Any] = {
                **self._properties,
                "glue.max-retries": self._glue_retries,
            }
            return GlueCatalog(self._name, **properties)
        if self._uri is None:
            raise InvalidSetting(f"a {self._kind} catalog needs STROKE_LAKE_CATALOG_URI")
        if self._kind == "rest":
            from pyiceberg.catalog.rest import RestCatalog  # noqa: PLC0415 -- start-up time

            return RestCatalog(self._name, uri=self._uri, **self._properties)
        from pyiceberg.catalog.sql import SqlCatalog  # noqa: PLC0415 -- start-up time

        return SqlCatalog(self._name, uri=_driver_uri(self._uri), **self._properties)


@contextmanager
def unavailable(what: str) -> Iterator[None]:
    """Translate the errors of pyiceberg and of the libraries below it, without quoting them."""
    try:
        yield
    except NoSuchTableError as error:
        raise ReplicaUnavailable(
            f"the catalog knows no table {what}: `stroke connectors apply` makes it"
        ) from error
    except (SQLAlchemyError, RESTError, ValidationError) as error:
        raise _no_answer(what) from error
    except OSError as error:  # of S3, or of a REST catalog
        if _is_of("requests", error):
            raise _no_answer(what) from error
        raise ReplicaUnavailable(
            f"the files of {what} cannot be read or written: check the bucket, its endpoint "
            "and the credentials"
        ) from error
    except Exception as error:
        if not _is_of("botocore", error):
            raise
        raise ReplicaUnavailable(
            f"Glue, the catalog of {what}, refuses or does not answer: check the region, the "
            "credentials and what they may do"
        ) from error


def _no_answer(what: str) -> ReplicaUnavailable:
    return ReplicaUnavailable(
        f"the catalog of {what} does not answer: is it up, and STROKE_LAKE_CATALOG_URI right?"
    )


def _is_of(library: str, error: Exception) -> bool:
    """Recognise a library's errors without importing it: only one kind of catalog needs it."""
    return any(kind.__module__.partition(".")[0] == library for kind in type(error).__mro__)


def _driver_uri(uri: str) -> str:
    from sqlalchemy import make_url  # noqa: PLC0415 -- start-up time

    try:
        url = make_url(uri)
    except ArgumentError as error:
        raise InvalidSetting("STROKE_LAKE_CATALOG_URI is not a database URL") from error
    backend = url.get_backend_name()
    if backend not in _SYNCHRONOUS:
        raise InvalidSetting(
            "STROKE_LAKE_CATALOG_URI of a jdbc catalog must be a mysql:// URL here "
            "(for PostgreSQL put a REST catalog before it)"
        )
    return url.set(drivername=_SYNCHRONOUS[backend]).render_as_string(hide_password=False)
