"""What Spark says, as errors of the field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from stroke.domain.errors import (
    BrokerUnavailable,
    InvalidData,
    ReplicaUnavailable,
    StoreUnavailable,
    StrokeError,
)

_UNAVAILABLE: Final = (BrokerUnavailable, ReplicaUnavailable, StoreUnavailable)
_MISSING_CLASS: Final = ("ClassNotFoundException", "NoClassDefFoundError")


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Translate what goes wrong while Spark works on ``what``.

    Spark's messages may quote values: only the kind of error is reported, and the log of the driver
    has the rest.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        kind = _raised_by_a_worker(error)
        raise kind(f"Spark could not work on {what}: {kind_of(error)}") from error


def _raised_by_a_worker(error: Exception) -> type[StrokeError]:
    """Return what our code in a worker raised where a source went away, else ``InvalidData``."""
    text = str(error) if isinstance(error, PySparkException) else ""
    return next(
        (kind for kind in _UNAVAILABLE if f"{kind.__module__}.{kind.__name__}: " in text),
        InvalidData,
    )


def kind_of(error: PySparkException | Py4JError) -> str:
    """Return what kind of trouble it is: Spark's name of it, or the Java class of its cause."""
    if isinstance(error, PySparkException):
        return error.getCondition() or type(error).__name__
    cause = getattr(error, "java_exception", None)
    if cause is None:
        return "the driver ended"
    while cause.getCause() is not None:
        cause = cause.getCause()
    kind = str(cause.getClass().getName())
    if kind.endswith(_MISSING_CLASS):  # whose message is the class
        return (
            f"{kind} {cause.getMessage()}: are the jars of deploy/images/spark on its class path?"
        )
    return kind
