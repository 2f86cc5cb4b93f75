"""Write the dashboards: ``PYTHONPATH=deploy/grafana .venv/bin/python -m boards`` (make boards)."""

from __future__ import annotations

import argparse
from pathlib import Path

from boards import host, insights, pipeline, service
from boards.panels import Board

FOLDER = Path(__file__).resolve().parents[1] / "dashboards"


def boards() -> list[Board]:
    """Return every dashboard, in the order of the navigation."""
    return [service.board(), pipeline.board(), host.board(), insights.board()]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m boards",
        description="Write the dashboards' JSON from their code.",
        epilog="example: PYTHONPATH=deploy/grafana python -m boards --to deploy/grafana/dashboards",
    )
    parser.add_argument("--to", type=Path, default=FOLDER, help="the folder (default: %(default)s)")
    folder = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    for board in boards():
        (folder / f"{board.uid}.json").write_text(board.text())


if __name__ == "__main__":
    main()
