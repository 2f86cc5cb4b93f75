"""The change-data pipeline: Debezium, Connect, the broker, the JVMs, and whether copies agree."""

from __future__ import annotations

from boards import panels
from boards.panels import Board, bars, lines, number


def _rows() -> dict[str, list[panels.PanelBuilder]]:
    return {"Now": _now(), "Debezium": _debezium(), "Connect": _connect(), "Broker": _broker()} | {
        "Copies": _copies(),
        "Java": _java(),
    }


def _now() -> list[panels.PanelBuilder]:
    return [
        number(
            "Connectors that run",
            "sum(stroke_connector_running)",
            unit="none",
            about="Of three, with all of their tasks.",
        ),
        number(
            "Failed tasks",
            'sum(kafka_connect_connector_task_status{status="failed"}) or vector(0)',
            unit="none",
            about="The watcher restarts what failed; what stays here needs a person.",
        ),
        number(
            "Behind MySQL",
            "max(debezium_mysql_streaming_millisecondsbehindsource)",
            unit="ms",
            about="Of the last event that Debezium read, when it read it.",
        ),
        number(
            "Sinks have to go",
            "sum(stroke_sink_lag_records)",
            unit="none",
            about="Records on Kafka that the sinks have not committed.",
        ),
        number(
            "Rows that differ",
            "sum(stroke:verify_differences:count)",
            unit="none",
            about="Missing, extra, different and duplicate rows of all copies.",
        ),
        number(
            "Last comparison",
            "time() - min(stroke_pipeline_verify_timestamp_seconds)",
            unit="s",
            about="How long ago the copy was compared that has waited longest.",
        ),
    ]


def _debezium() -> list[panels.PanelBuilder]:
    name = "debezium_mysql_streaming_totalnumberof"
    return [
        lines(
            "Events",
            {
                kind: f"sum(rate({name}{kind}eventsseen[$__rate_interval]))"
                for kind in ("create", "update", "delete")
            },
            unit="eps",
            about="Rows made, changed and erased in MySQL, as the binlog tells.",
        ),
        lines(
            "How far behind",
            {
                share: f"max(debezium_mysql_streaming_millisecondsbehindsource{share})"
                for share in ("p50", "p95", "p99")
            },
            unit="ms",
            about="From a commit in MySQL to its event's reading, since the task started.",
        ),
        lines(
            "Connection and snapshot",
            {
                "connected": "max(debezium_mysql_streaming_connected)",
                "snapshot runs": "max(debezium_mysql_snapshot_snapshotrunning)",
                "tables left": "max(debezium_mysql_snapshot_remainingtablecount)",
            },
            unit="none",
            about="1 is yes.",
        ),
    ]


def _connect() -> list[panels.PanelBuilder]:
    return [
        lines(
            "Tasks by state",
            {"{{status}}": "sum by (status) (kafka_connect_connector_task_status)"},
            unit="none",
            about="One task a connector.",
        ),
        lines(
            "Records",
            {
                "read {{connector}}": "sum by (connector) "
                "(kafka_connect_source_task_source_record_poll_rate)",
                "put {{connector}}": "sum by (connector) "
                "(kafka_connect_sink_task_sink_record_send_rate)",
            },
            unit="none",
            about="Records a second that the source reads and the sinks hand on.",
        ),
        lines(
            "Put aside, in 15 min",
            {"{{connector}}": "stroke:dead_letters:increase15m"},
            unit="none",
            about="Records that a sink could not write: stroke pipeline dlq list.",
        ),
        lines(
            "Sinks have to go",
            {"{{connector}}": "stroke_sink_lag_records"},
            unit="none",
            about="Records on Kafka that the sink has not committed.",
        ),
        lines(
            "Restarts, in 1 h",
            {"{{connector}}": "increase(stroke_connector_restarts_total[1h])"},
            unit="none",
            about="Restarts by the watcher, of connectors that failed or stalled.",
        ),
        lines(
            "How long a put takes",
            {"{{connector}}": "max by (connector) (kafka_connect_sink_task_put_batch_avg_time_ms)"},
            unit="ms",
            about="Mean time of a batch in the sink's database or table.",
        ),
    ]


def _broker() -> list[panels.PanelBuilder]:
    return [
        lines(
            "Messages",
            "sum(rate(kafka_broker_messagesin_total[$__rate_interval]))",
            unit="none",
            about="Messages a second that the broker took, of all topics.",
        ),
        lines(
            "Size of topics",
            {"{{topic}}": 'topk(8, sum by (topic) (kafka_broker_log_size_bytes{topic!~"_.*"}))'},
            unit="bytes",
            about="On the broker's disk.",
        ),
        lines(
            "Produce and flush, 99 of 100",
            {
                "produce": 'kafka_broker_produce_ms{percentile="99"}',
                "flush": 'kafka_broker_log_flush_ms{percentile="99"}',
            },
            unit="ms",
            about="How long a producer waits, and the disk takes.",
        ),
        number(
            "Offline partitions",
            "sum(kafka_controller_offlinepartitionscount)",
            unit="none",
            about="0 while all topics can be read and written.",
        ),
        number(
            "Idle handlers",
            "min(kafka_broker_request_handler_idle_ratio)",
            unit="percentunit",
            about="Near 0 the broker has more to do than it can.",
        ),
    ]


def _copies() -> list[panels.PanelBuilder]:
    return [
        bars(
            "Rows that differ",
            "stroke:verify_differences:count",
            "{{replica}}",
            unit="none",
            about="Missing, extra, different and duplicate rows, when last compared with MySQL.",
        ),
        lines(
            "Rows compared",
            {"{{replica}}": "stroke_pipeline_verify_rows"},
            unit="none",
            about="Rows of MySQL at the last comparison.",
        ),
        lines(
            "Gap in the lake",
            "stroke_lake_gap_records",
            unit="none",
            about="Records committed as read that are not in the Iceberg table.",
        ),
    ]


def _java() -> list[panels.PanelBuilder]:
    return [
        lines(
            "Heap used",
            {"{{job}}": 'jvm_memory_used_bytes{area="heap"} / jvm_memory_max_bytes{area="heap"}'},
            unit="percentunit",
            about="Share of the largest heap allowed.",
        ),
        lines(
            "Time in garbage collection",
            {"{{job}}": "sum by (job) (rate(jvm_gc_collection_seconds_sum[$__rate_interval]))"},
            unit="percentunit",
            about="Above 0.1 for long, the heap is too small.",
        ),
        lines(
            "Threads",
            {"{{job}}": "sum by (job) (jvm_threads_current)"},
            unit="none",
            about="Of each Java process.",
        ),
    ]


def board() -> Board:
    """Return the dashboard."""
    about = "From MySQL through Debezium and Kafka to SQL Server and the lake."
    return panels.board("pipeline", "CDC pipeline", about, _rows())
