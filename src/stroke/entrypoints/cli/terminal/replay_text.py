"""What `stroke model replay` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer

from stroke.domain.performance import Estimate
from stroke.domain.replay import (
    CATEGORIES,
    CrossTable,
    NetReclassification,
    OtherVersions,
    ReplayReport,
    SameVersion,
)
from stroke.entrypoints.cli.terminal.output import counted

_SHOWN = 20


def print_replay(report: ReplayReport, *, seconds: float, as_json: bool) -> None:
    """Print a report as text, or as one JSON object."""
    rate = round(report.rows / seconds) if seconds else 0
    if as_json:
        typer.echo(json.dumps({**as_dict(report), "rows_per_second": rate}))
        return
    typer.echo("\n".join([*_lines(report), f"\n{rate:,} rows/s"]))


def as_dict(report: ReplayReport) -> dict[str, Any]:
    """Return a report as JSON has it."""
    found = asdict(report)
    others = report.others
    found["others"]["distribution"] = [each._asdict() for each in others.distribution]
    found["others"]["worst"] = [each._asdict() for each in others.worst]
    if others.net is not None:
        for name in ("events", "non_events"):
            estimate: Estimate | None = getattr(others.net, name)
            found["others"]["net"][name] = None if estimate is None else estimate._asdict()
    found["categories"] = [each.value for each in CATEGORIES]
    return found


def _lines(report: ReplayReport) -> list[str]:
    rows = counted(report.rows, "stored prediction")
    lines = [f"{report.version}: {rows}, {report.compared:,} compared"]
    if report.repeated:
        lines.append(f"  {report.repeated:,} rows came before and were counted once")
    for reason, count in report.passed_over.items():
        lines.append(f"  {count:,} passed over: the row {reason}")
    if report.same.rows:
        lines += _same(report.same)
    if report.others.rows:
        lines += _others(report.others)
    return lines


def _same(same: SameVersion) -> list[str]:
    lines = [f"\nmade by this version: {same.rows:,}", f"  {same.identical:,} identical"]
    if same.not_compared:
        lacked = " and ".join(same.not_compared)
        lines.append(f"  {lacked} not compared: the source has no such column")
    if same.rounded:
        lines.append(f"  {same.rounded:,} the same but for rounding")
    if same.different:
        lines.append(
            f"  {same.different:,} DIFFERENT, by at most {same.largest_difference:.3g}: rows "
            f"{_ids(same.ids, same.different)}"
        )
    return lines


def _ids(ids: Sequence[int], count: int) -> str:
    shown = ", ".join(map(str, ids[:_SHOWN]))
    return shown + (f" and {count - _SHOWN:,} more (--json)" if count > _SHOWN else "")


def _others(others: OtherVersions) -> list[str]:
    made = ", ".join(f"{count:,} by {version}" for version, count in others.versions.items())
    lines = [
        f"\nmade by other versions: {others.rows:,} ({made})",
        f"  risk less stored risk: mean {others.mean:+.5f}",
        f"  standard deviation {others.standard_deviation:.5f}, largest {others.largest:.5f}",
        "  size of the difference: "
        + ", ".join(f"{name} {value:.4f}" for name, value in others.quantiles.items()),
        "\n  difference              predictions",
    ]
    lines += [
        f"  {share.low:+8.4f} to {share.high:+8.4f} {share.rows:12,}"
        for share in others.distribution
        if share.rows
    ]
    lines += _table("everybody", others.table)
    if others.without_category:
        lines.append(f"  {others.without_category:,} have no stored category that is known")
    if others.net is not None:
        lines += _net(others.net)
    if others.worst:
        lines.append("\n  largest differences: row, stored risk, new risk")
        lines += [
            f"  {each.prediction_id:>12} {each.stored:.4f} {each.stored_category or '-':6} -> "
            f"{each.replayed:.4f} {each.category}"
            for each in others.worst
        ]
    return lines


def _table(title: str, table: CrossTable) -> list[str]:
    head = "".join(f"{category.value:>10}" for category in CATEGORIES)
    return [
        f"\n  {title}: stored category (rows), new category (columns)",
        f"  {'':8}{head}",
        *(
            f"  {category.value:8}" + "".join(f"{count:10,}" for count in row)
            for category, row in zip(CATEGORIES, table, strict=True)
        ),
    ]


def _net(net: NetReclassification) -> list[str]:
    lines = _table(f"{counted(net.strokes, 'patient')} with a stroke", net.table_of_strokes)
    lines += _table(f"{counted(net.others, 'patient')} without one", net.table_of_others)
    for name, estimate in (("strokes", net.events), ("others", net.non_events)):
        if estimate is not None:
            lines.append(
                f"  net reclassification of {name}: {estimate.value:+.4f} "
                f"({estimate.low:+.4f} to {estimate.high:+.4f}); above 0 is better"
            )
    return lines
