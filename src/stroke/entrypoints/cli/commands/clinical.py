"""`stroke clinical`: charts of hospitals, mapped and assessed; the codes that they are read by."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stroke.domain.clinical.kept import AssessmentFilter, card_uses
from stroke.domain.documents import ambiguity_of
from stroke.domain.errors import InvalidData
from stroke.entrypoints.cli.terminal.options import MOMENTS, AsJson, Since, Site, Until, in_utc
from stroke.entrypoints.cli.terminal.scoring_options import ModelName

if TYPE_CHECKING:
    from stroke.application.clinical.assessing import AssessedChart
    from stroke.domain.clinical.found import Found
    from stroke.domain.clinical.kept import CardUse

app = typer.Typer(help="Read charts of hospitals (FHIR).", no_args_is_help=True)

_STDIN = Path("-")


@app.command(epilog="Example: stroke clinical codes --json > codes.json")
def codes(as_json: AsJson = False) -> None:
    """List the codes that charts are read by, with the licences that they come under.

    How sure each one is stands beside it: confirmed in records of others, known and to be checked
    by somebody who knows the record, or a site's own (STROKE_CLINICAL_CODES).
    """
    from stroke.config import Settings
    from stroke.container.clinical import clinical_codes

    book = clinical_codes(Settings.load().clinical)
    listed = sorted(book.listed())
    if as_json:
        systems: dict[str, list[str]] = {}
        for address, name in book.systems.items():
            systems.setdefault(name, []).append(address)
        keys = ("meaning", "system", "code", "level")
        found = [dict(zip(keys, each, strict=True)) for each in listed]
        document: dict[str, Any] = {"version": book.version, "licences": book.licences}
        further = {
            name: {"from": each.place, "units": dict(each.units), "values": list(each.values)}
            for name, each in book.further.items()
        }
        document |= {"systems": systems, "codes": found, "further": further}
        typer.echo(json.dumps(document, indent=2))
        return
    from rich.table import Table

    from stroke.entrypoints.cli.terminal.output import print_table

    table = Table("meaning", "system", "code", "how sure", title=f"codes {book.version}")
    for each in listed:
        table.add_row(*each)
    print_table(table)
    for licence in book.licences:
        typer.echo(licence)


@app.command(epilog="Example: stroke clinical assess bundle.json --json")
def assess(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="BUNDLE.json",
            help="A FHIR R4 Bundle, or a request of CDS Hooks; - is stdin.",
        ),
    ],
    *,
    patient: Annotated[
        str | None, typer.Option(metavar="ID", help="Which of a bundle's patients.")
    ] = None,
    no_conditions: Annotated[
        bool,
        typer.Option(
            "--no-conditions",
            help="A bundle without any Condition means that the patient has none.",
        ),
    ] = False,
    at: Annotated[
        datetime | None,
        typer.Option(formats=MOMENTS, help="Assess as at this time (UTC).", show_default="now"),
    ] = None,
    model: ModelName = None,
    as_json: AsJson = False,
) -> None:
    """Map one patient's chart, assess it, and say where each value came from.

    Nothing is stored. The exit code is 1 where the chart cannot be assessed; the last line says
    why.
    """
    from stroke.application.clinical.assessing import chart_of
    from stroke.config import Settings
    from stroke.container.clinical import chart_assessment
    from stroke.container.models import load_model

    settings = Settings.load()
    chart = chart_of(_document(source), patient, conditions_known=no_conditions)
    assessing = chart_assessment(settings.clinical, load_model(settings.model, model))
    found = assessing.assess(chart, in_utc(at) or datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(_as_json(found), indent=2, ensure_ascii=False))
    else:
        _print(found)
    if found.assessment is None:
        raise typer.Exit(1)


@app.command(epilog="Example: stroke clinical feedback --since 2026-11-01 --json")
def feedback(
    *, since: Since = None, until: Until = None, site: Site = None, as_json: AsJson = False
) -> None:
    """Count what became of the cards that record systems were sent, for each model.

    Accepted, overridden (and why) or ignored: without any feedback so far. A card that is mostly
    overridden or ignored may not be worth its interruption: see STROKE_CLINICAL_CARD_FROM.
    """
    found = _card_uses(AssessmentFilter(None, in_utc(since), in_utc(until), site))
    if as_json:
        models = [{"model_version": each.model_version, **_counts(each)} for each in found]
        typer.echo(json.dumps({"models": models}, indent=2))
        return
    if not found:
        typer.echo("no card was shown")
        return
    from rich.table import Table

    from stroke.entrypoints.cli.terminal.output import print_table

    table = Table("model", "shown", "accepted", "overridden", "ignored", "reasons")
    for use in found:
        reasons = ", ".join(f"{name} {count}" for name, count in use.reasons.items())
        counts = (use.shown, use.accepted, use.overridden, use.ignored)
        table.add_row(use.model_version, *(str(each) for each in counts), reasons)
    print_table(table)


def _counts(use: CardUse) -> dict[str, Any]:
    return {
        "shown": use.shown,
        "accepted": use.accepted,
        "overridden": use.overridden,
        "ignored": use.ignored,
        "reasons": use.reasons,
    }


def _card_uses(narrowed: AssessmentFilter) -> list[CardUse]:
    import asyncio

    from stroke.config import Settings
    from stroke.container.service import Container

    parts = Container(settings=Settings.load())

    async def once() -> list[CardUse]:
        try:
            await parts.repository().check()
            return card_uses(await parts.assessment_store().tally(narrowed))
        finally:
            await parts.engine().dispose()

    return asyncio.run(once())


def _document(source: Path) -> Any:
    try:
        content = sys.stdin.buffer.read() if source == _STDIN else source.read_bytes()
    except OSError as error:
        raise InvalidData(f"{source} cannot be read: {error.strerror}") from None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidData(f"{source} is no JSON") from None
    if ambiguity := ambiguity_of(content):
        raise InvalidData(f"{source} {ambiguity}")
    return document


def _as_json(found: AssessedChart) -> dict[str, Any]:
    mapped, assessment = found.mapped, found.assessment
    return {
        "values": {
            name: {"value": value.value, "how": value.how, "sources": _sources(value)}
            for name, value in mapped.values.items()
        },
        "lacking": mapped.lacking,
        "notes": [note._asdict() for note in mapped.notes],
        "not_sent": mapped.not_sent,
        "incomplete": mapped.incomplete,
        "excluded": mapped.excluded,
        "basis": mapped.basis,
        "unmapped": mapped.unmapped,
        "not_assessed": found.why_not,
        "assessment": None
        if assessment is None
        else {
            "probability": assessment.probability,
            "risk_category": assessment.category,
            "model_variant": assessment.variant,
            "explanation": [
                {"feature": each.feature, "value": each.value, "log_odds": each.log_odds}
                for each in assessment.contributions
            ],
        },
    }


def _sources(value: Found) -> list[dict[str, Any]]:
    return [
        {
            "reference": source.reference,
            "code": source.code,
            "moment": None if source.moment is None else source.moment.isoformat(),
        }
        for source in value.sources
    ]


def _print(found: AssessedChart) -> None:
    from rich.table import Table

    from stroke.domain.features import RAW_FEATURES
    from stroke.entrypoints.cli.terminal.output import print_table

    mapped, assessment = found.mapped, found.assessment
    adds = {} if assessment is None else {c.feature: c.log_odds for c in assessment.contributions}
    table = Table("measurement", "value", "adds (log-odds)", "how", "from")
    own = [name for name in (*mapped.values, *adds) if name not in RAW_FEATURES]
    for name in (*RAW_FEATURES, *dict.fromkeys(own)):
        value = mapped.values.get(name)
        added = f"{adds[name]:+.2f}" if name in adds else ""
        if value is None:
            table.add_row(name, "missing", added, "", "")
            continue
        places = ", ".join(_place(each) for each in _sources(value))
        shown = f"{value.value:g}" if isinstance(value.value, float) else str(value.value)
        table.add_row(name, shown, added, value.how, places)
    print_table(table)
    for note in mapped.notes:
        typer.echo(f"{note.feature}: {note.text}")
    if assessment is None:
        typer.echo(f"not assessed: {found.why_not}")
        return
    typer.echo(
        f"risk {assessment.probability:.1%} ({assessment.category}), "
        f"variant of the model: {assessment.variant}"
    )


def _place(source: dict[str, Any]) -> str:
    code = f" {source['code']}" if source["code"] else ""
    moment = f" of {source['moment'][:10]}" if source["moment"] else ""
    return f"{source['reference'] or 'a resource without an id'}{code}{moment}"
