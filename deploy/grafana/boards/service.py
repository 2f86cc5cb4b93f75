"""The service: whether it answers, how fast, and how its database fares."""

from __future__ import annotations

from boards import panels
from boards.panels import Board, lines, number

_PREDICT = 'job="api",method="POST",handler=~"/predict|/api/v1/predict"'


def _rows() -> dict[str, list[panels.PanelBuilder]]:
    return {
        "Now": [
            number(
                "API",
                'sum(up{job="api"})',
                unit="none",
                about="1 for each instance that answers Prometheus.",
            ),
            number(
                "Requests",
                'sum(rate(http_requests_total{job="api"}[$__rate_interval]))',
                unit="reqps",
                about="Requests answered a second, health checks among them.",
            ),
            number(
                "Failed, 1 h",
                "stroke:http_errors:ratio_rate1h",
                unit="percentunit",
                about="Share of requests answered 5xx. The objective is 0.1 %.",
            ),
            number(
                "p99",
                "stroke:prediction_seconds:p99_5m",
                unit="s",
                about="99 of 100 predictions are answered within this. The objective is 1 s.",
            ),
            number(
                "In progress",
                'sum(http_requests_in_progress{job="api"})',
                unit="none",
                about="Requests in flight.",
            ),
            number(
                "Waiting",
                "sum(stroke_queue_depth)",
                unit="none",
                about="Predictions that wait for their commit.",
            ),
            number(
                "Alerts",
                'count(ALERTS{alertstate="firing"}) or vector(0)',
                unit="none",
                about="Alerts that fire now, of all parts.",
            ),
        ],
        "Requests": [
            lines(
                "Requests by answer",
                {
                    "{{status}}": "sum by (status) "
                    '(rate(http_requests_total{job="api"}[$__rate_interval]))'
                },
                unit="reqps",
                about="4xx are the callers' mistakes, 5xx ours.",
            ),
            lines(
                "Requests by route",
                {
                    "{{method}} {{handler}}": "sum by (method, handler) "
                    '(rate(http_requests_total{job="api"}[$__rate_interval]))'
                },
                unit="reqps",
                about="Unknown paths are one route, none.",
            ),
            lines(
                "How long predictions take",
                {
                    f"p{share}": f"histogram_quantile(0.{share}, sum by (le) "
                    f"(rate(http_request_duration_seconds_bucket{{{_PREDICT}}}[$__rate_interval])))"
                    for share in (50, 95, 99)
                },
                unit="s",
                about="From the first byte of a request to the last of its answer.",
            ),
        ],
        "Database": [
            lines(
                "How long a commit takes",
                {
                    f"p{share}": f"histogram_quantile(0.{share}, sum by (le) "
                    "(rate(stroke_store_seconds_bucket[$__rate_interval])))"
                    for share in (50, 99)
                },
                unit="s",
                about="What the database took: a prediction is answered when it is durable.",
            ),
            lines(
                "Predictions in a commit",
                {
                    "mean": "sum(rate(stroke_commit_size_sum[$__rate_interval])) "
                    "/ sum(rate(stroke_commit_size_count[$__rate_interval]))"
                },
                unit="none",
                about="Predictions that arrive together share a commit.",
            ),
            lines(
                "Connections",
                {"{{state}}": "sum by (state) (stroke_database_connections)"},
                unit="none",
                about="Of all workers. One is kept for inserts.",
            ),
        ],
        "Process": [
            lines(
                "CPU",
                {"{{job}}": "sum by (job) (rate(process_cpu_seconds_total[$__rate_interval]))"},
                unit="none",
                about="Cores that each part uses.",
            ),
            lines(
                "Memory",
                {"{{job}}": "sum by (job) (process_resident_memory_bytes)"},
                unit="bytes",
                about="Resident memory of each part.",
            ),
            lines(
                "Burn of the error budget",
                {
                    "5 min": "stroke:http_errors:ratio_rate5m / 0.001",
                    "1 h": "stroke:http_errors:ratio_rate1h / 0.001",
                    "6 h": "stroke:http_errors:ratio_rate6h / 0.001",
                },
                unit="none",
                about="1 uses a month's budget in a month; 14.4 for an hour pages.",
            ),
        ],
    }


def board() -> Board:
    """Return the dashboard."""
    return panels.board("service", "Service", "The prediction API.", _rows())
