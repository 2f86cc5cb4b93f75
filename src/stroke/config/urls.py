"""Addresses of databases, with the drivers that are here, and of buckets."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL, make_url

from stroke.domain.errors import InvalidSetting

S3: Final = "s3://"
"""How the address of a bucket's prefix begins."""


def results_url(text: str) -> URL:
    """Return the SQLAlchemy URL, with our drivers, of a database for results of analyses.

    ``text`` may begin with ``jdbc:``. Raises ``InvalidSetting``.
    """
    return driver_url(
        text.removeprefix("jdbc:"),
        "--output",
        {
            "postgresql": "postgresql+asyncpg",
            "mssql": "mssql+mssqlpython",
            "sqlserver": "mssql+mssqlpython",
        },
    )


def database_url(text: str) -> URL:
    """Return the URL of a database of predictions: a ``mysql://`` or ``sqlite://`` URL, or a file.

    Raises ``InvalidSetting``.
    """
    if "://" not in text:
        return URL.create("sqlite+aiosqlite", database=text)
    return async_url(text)


def async_url(text: str) -> URL:
    """Return the URL of a database of predictions. Raises ``InvalidSetting``."""
    return driver_url(
        text, "STROKE_DATABASE_URL", {"mysql": "mysql+asyncmy", "sqlite": "sqlite+aiosqlite"}
    )


def driver_url(text: str, setting: str, drivers: dict[str, str]) -> URL:
    """Return ``text`` as a URL with the driver that ``drivers`` has for its database.

    Raises ``InvalidSetting``, which names ``setting``, where there is none.
    """
    try:
        url = make_url(text)
    except Exception as error:
        raise InvalidSetting(f"{setting} is not a database URL") from error
    backend = url.get_backend_name()
    if backend not in drivers:
        names = " or ".join(f"{name}://" for name in drivers)
        raise InvalidSetting(f"{setting} must be a {names} URL")
    return url.set(drivername=drivers[backend])
