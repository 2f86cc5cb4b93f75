from __future__ import annotations

import pytest

from stroke.adapters.kafka_connect.trace import exception_classes, failing_record
from stroke.application.pipeline.kafka_connect_model import TopicPartition

TRACE = """org.apache.kafka.connect.errors.ConnectException: Exiting WorkerSinkTask
\tat org.apache.kafka.connect.runtime.WorkerSinkTask.deliverMessages(WorkerSinkTask.java:636)
\tat java.base/java.lang.Thread.run(Unknown Source)
Caused by: org.apache.kafka.connect.errors.ConnectException: JDBC sink connector failure
Jane Roe: 'name' is too long
\t... 10 more
Caused by: java.sql.BatchUpdateException: Batch entry 0 INSERT ... ('Jane Roe') was aborted
\tat org.postgresql.jdbc.BatchResultHandler.handleError(BatchResultHandler.java:165)
Caused by: org.postgresql.util.PSQLException: ERROR: value too long
  Detail: Jane Roe
\t... 12 more
"""


def test_a_trace_is_read_by_its_exceptions_classes_only() -> None:
    assert exception_classes(TRACE) == "ConnectException < BatchUpdateException < PSQLException"


@pytest.mark.parametrize(
    ("trace", "classes"),
    [
        ("", ""),
        ("java.lang.OutOfMemoryError\n\tat x", "OutOfMemoryError"),
        ("java.lang.NoClassDefFoundError: org/apache/X", "NoClassDefFoundError"),
        ("a.Outer$InnerException: x", "Outer$InnerException"),
        ("Jane.Roe: x", ""),
        ("x.y.JaneRoe: x", ""),
        ("The task was killed because of Jane Roe", ""),
    ],
)
def test_only_what_names_an_exception_is_passed_on(trace: str, classes: str) -> None:
    assert exception_classes(trace) == classes


ICEBERG = """org.apache.kafka.connect.errors.ConnectException: Exiting WorkerSinkTask
\tat org.apache.kafka.connect.runtime.WorkerSinkTask.deliverMessages(WorkerSinkTask.java:636)
Caused by: org.apache.kafka.connect.errors.DataException: An error occurred converting record, \
topic: dbserver1.stroke_predictions.predictions, partition, 0, offset: 4711
\tat org.apache.iceberg.connect.data.IcebergWriter.write(IcebergWriter.java:76)
Caused by: java.lang.NumberFormatException: For input string: "Jane Roe"
""".replace("\\\n", "")


def test_the_record_that_iceberg_s_sink_names_is_found() -> None:
    place = TopicPartition("dbserver1.stroke_predictions.predictions", 0)
    assert failing_record(ICEBERG) == (place, 4711)


@pytest.mark.parametrize(
    "trace",
    [
        "",
        TRACE,
        ICEBERG.replace("4711", "4711 and more"),
        ICEBERG.replace("errors.DataException", "errors.RetriableException"),
        ICEBERG.replace("Caused by: org", "Jane Roe: org"),
    ],
)
def test_a_trace_that_names_no_record_has_none(trace: str) -> None:
    assert failing_record(trace) is None
