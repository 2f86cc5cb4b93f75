"""The hosts, as Prometheus' node exporter sees them (deploy/ansible installs it)."""

from __future__ import annotations

from boards import panels
from boards.panels import Board, lines, number

# No file systems in memory, no layers of containers.
_DISK = 'fstype!~"tmpfs|overlay|squashfs|ramfs|nsfs"'


def _rows() -> dict[str, list[panels.PanelBuilder]]:
    return {
        "Now": [
            number(
                "CPU in use",
                '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))',
                unit="percentunit",
                about="Of all cores of all hosts.",
            ),
            number(
                "Memory in use",
                "1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes)",
                unit="percentunit",
                about="Without what the kernel can take back.",
            ),
            number(
                "Fullest disk",
                f"1 - min(node_filesystem_avail_bytes{{{_DISK}}} "
                f"/ node_filesystem_size_bytes{{{_DISK}}})",
                unit="percentunit",
                about="Without memory and the layers of containers.",
            ),
            number(
                "Up for",
                "time() - max(node_boot_time_seconds)",
                unit="s",
                about="Since the last start of the host that started last.",
            ),
        ],
        "Load": [
            lines(
                "CPU",
                {
                    "{{instance}} {{mode}}": "sum by (instance, mode) "
                    '(rate(node_cpu_seconds_total{mode!="idle"}[$__rate_interval]))'
                },
                unit="none",
                about="Cores in use, by what for.",
            ),
            lines(
                "Load",
                {"{{instance}}": "node_load5"},
                unit="none",
                about="Processes that run or wait, mean of five minutes.",
            ),
            lines(
                "Memory",
                {
                    "{{instance}} in use": "node_memory_MemTotal_bytes "
                    "- node_memory_MemAvailable_bytes",
                    "{{instance}} of": "node_memory_MemTotal_bytes",
                },
                unit="bytes",
                about="The rest is the kernel's to give.",
            ),
        ],
        "Disk and network": [
            lines(
                "Disk full",
                {
                    "{{instance}} {{mountpoint}}": f"1 - node_filesystem_avail_bytes{{{_DISK}}} "
                    f"/ node_filesystem_size_bytes{{{_DISK}}}"
                },
                unit="percentunit",
                about="MySQL and Kafka stop when it is 1.",
            ),
            lines(
                "Disk busy",
                {
                    "{{instance}} {{device}}": "rate(node_disk_io_time_seconds_total"
                    "[$__rate_interval])"
                },
                unit="percentunit",
                about="Share of the time with a request under way.",
            ),
            lines(
                "Network",
                {
                    "{{instance}} in": "sum by (instance) (rate("
                    'node_network_receive_bytes_total{device!="lo"}[$__rate_interval]))',
                    "{{instance}} out": "sum by (instance) (rate("
                    'node_network_transmit_bytes_total{device!="lo"}[$__rate_interval]))',
                },
                unit="Bps",
                about="Of all devices but the loopback.",
            ),
        ],
    }


def board() -> Board:
    """Return the dashboard."""
    return panels.board("host", "Hosts", "What the machines have left.", _rows())
