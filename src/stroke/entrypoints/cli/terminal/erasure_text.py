"""How `stroke erase` shows what is left of predictions, and what keeps rows for how long."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from stroke.entrypoints.cli.terminal.output import counted, progress

if TYPE_CHECKING:
    from stroke.application.erasure.erasure import Proof
    from stroke.application.erasure.ports import Retained, Trace, ValueTrace


def show_proof(proof: Proof, *, as_json: bool) -> None:
    """Print what is left, and what cannot be searched."""
    if as_json:
        traces = [
            {"id": trace.prediction_id, **_place_of(place, trace)}
            for place, found in proof.traces.items()
            for trace in found
        ]
        values = [
            {"value": trace.value, **_place_of(place, trace)}
            for place, found in proof.values.items()
            for trace in found
        ]
        searched = {"searched": list(proof.traces), "traces": traces}
        by_value = {"searched_for_values": list(proof.values), "values": values}
        typer.echo(json.dumps({**searched, **by_value, "kept": kept_as_json(proof.retained)}))
        return
    for place, found in proof.traces.items():
        typer.echo(f"{place}: {'nothing' if not found else counted(len(found), 'trace')}")
        for trace in found:
            typer.echo(f"  {trace.prediction_id}: {trace.where}{_until(trace)}")
    for place, values_there in proof.values.items():
        said = (
            "no value" if not values_there else f"{counted(len(values_there), 'trace')} of values"
        )
        typer.echo(f"{place}: {said}")
        for each in values_there:
            typer.echo(f"  value {each.value}: {each.where}{_until(each)}")
    print_kept(proof.retained)


def _place_of(place: str, trace: Trace | ValueTrace) -> dict[str, str | None]:
    until = None if trace.until is None else trace.until.isoformat()
    return {"place": place, "where": trace.where, "until": until}


def _until(trace: Trace | ValueTrace) -> str:
    return f", until {trace.until:%Y-%m-%d %H:%M} UTC" if trace.until else ""


def kept_as_json(kept: Sequence[Retained]) -> list[dict[str, str | None]]:
    """Return what keeps rows, as JSON has it."""
    return [{"what": k.what, "until": k.until.isoformat() if k.until else None} for k in kept]


def print_kept(kept: Sequence[Retained]) -> None:
    """Print what keeps rows, and until when."""
    for each in kept:
        until = f"until {each.until:%Y-%m-%d %H:%M} UTC" if each.until else "nobody knows how long"
        typer.echo(f"{each.what} keeps rows, {until}")


@contextmanager
def place_progress() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Give a display of each place's progress."""
    with progress() as display:
        bar = display.add_task("starting", total=None)

        def advance(place: str) -> Callable[[int, int], None]:
            return lambda done, total: display.update(
                bar, description=place, completed=done, total=total
            )

        yield advance
