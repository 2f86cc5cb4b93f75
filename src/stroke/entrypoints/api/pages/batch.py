"""A file of patients: look at it, estimate all of them, take the estimates home, or save them."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import logging
import secrets
import tempfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from stroke.application.predictions.cells import neutral
from stroke.application.predictions.file_rows import FileRow
from stroke.container.imports import patient_of_cells, patient_rows
from stroke.domain.access import Scope
from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import Further
from stroke.domain.patient import Patient
from stroke.domain.risk import RiskAssessment
from stroke.entrypoints.api.access import needs, origin_of
from stroke.entrypoints.api.pages.shell import (
    PageRoute,
    check_field,
    html,
    is_script,
    language_of,
    part,
    reads_token,
)
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.schemas.fields import BATCH_SIZE
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.ui import words
from stroke.entrypoints.ui.languages import Language
from stroke.entrypoints.ui.mistakes import mistake
from stroke.entrypoints.ui.records import in_100, interval_in_100

router = APIRouter(route_class=PageRoute, include_in_schema=False)

# It quotes bytes of what it cannot read, which may be a patient's.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

_PATH: Final = "/ui/batch"
_NAME: Final = "batch"
_SHOWN: Final = 200
_PREVIEWED: Final = 5
_PROBLEMS: Final = 100
_MOST_PARTS: Final = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one cell, or with a row (``column`` is then "")."""

    line: int
    column: str
    reason: str


@dataclass(slots=True)
class Sheet:
    """The rows of a file: patients with their lines, and what is wrong with the others."""

    rows: int = 0
    patients: list[Patient] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    wrong_rows: int = 0
    first: list[dict[str, object]] = field(default_factory=list)
    unreadable: str = ""
    too_many: bool = False


@router.get(_PATH)
@needs(Scope.PREDICT)
async def batch(request: Request) -> Response:
    """A form for a file."""
    return _whole(request, api_state(request).predictions.model.further)


@router.post(_PATH)
@needs(Scope.PREDICT)
@reads_token
async def estimate_all(request: Request) -> Response:
    """What the button says: look at the file, estimate, save, or give the file of estimates."""
    state, language = api_state(request), language_of(request)
    async with state.admission.batch(request) as slot:
        typed, content = await _sent(request)
        check_field(request, typed)
        slot.hold(len(content))
        deployed = state.predictions.deployed
        further = deployed.champion.description.further
        sheet = await asyncio.to_thread(_read, content, deployed.may_be_missing, further)
        wanted = typed.get("do", "check")
        form_key = typed.get("form_key", "")[:64] or secrets.token_hex(16)
        ids: list[int] | None = None
        assessed: list[RiskAssessment] = []
        if sheet.patients and not sheet.too_many and wanted in ("show", "csv", "save"):
            if wanted == "save":
                key = hashlib.sha256(form_key.encode() + b" " + content).hexdigest()
                stored = await state.predictions.predict_many(
                    sheet.patients,
                    idempotency_key=key,
                    origin=origin_of(request),
                    refuse_outside=state.refuse_outside,
                    deployed=deployed,
                    by_champion=True,  # as what the page showed before
                )
                ids = [each.id for each in stored]
                assessed = [each.assessment for each in stored]
            else:
                assessed = await state.predictions.assess(sheet.patients, deployed=deployed)
        version = deployed.champion.description.version
        if wanted == "csv" and assessed:
            made = await asyncio.to_thread(_file, sheet, assessed, version, further)
            headers = {"Content-Disposition": 'attachment; filename="estimates.csv"'}
            return Response(made, 200, headers, "text/csv; charset=utf-8")
        shown: dict[str, Any] = {
            "sheet": sheet,
            "results": _results(sheet, assessed, ids, language),
            "estimated": len(assessed),
            "stored": ids is not None,
            "problems": [_said(each, language) for each in sheet.problems[:_PROBLEMS]],
            "preview": [
                [str(row.get(name) or "") for name in _names(further)] for row in sheet.first
            ],
        }
    if is_script(request):
        return json_response(
            {"result": part(request, "batch_result.html", **_frame(language, further), **shown)}
        )
    return _whole(request, further, form_key=form_key, text=typed.get("text", ""), **shown)


def _names(further: Further) -> tuple[str, ...]:
    return (*RAW_FEATURES, *(each.name for each in further))


def _frame(language: Language, further: Further) -> dict[str, Any]:
    names = _names(further)
    return {
        "columns": [words.feature(name, language) for name in names],
        "names": names,
        "most": BATCH_SIZE,
        "most_shown": _SHOWN,
        "most_problems": _PROBLEMS,
    }


def _whole(
    request: Request,
    further: Further,
    *,
    form_key: str = "",
    text: str = "",
    sheet: Sheet | None = None,
    **shown: Any,
) -> Response:
    return html(
        request,
        "batch.html",
        _NAME,
        form_key=form_key or secrets.token_hex(16),
        text=text,
        sheet=sheet,
        **_frame(language_of(request), further),
        **shown,
    )


async def _sent(request: Request) -> tuple[dict[str, str], bytes]:
    """Return the form's fields, and the file's bytes: those of the text where no file came.

    Raises ``HTTPException`` for a body that is too long, or no such form.
    """
    most = api_state(request).most_bytes

    async def limited() -> AsyncGenerator[bytes]:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise HTTPException(413, f"A body may have at most {most} bytes.")
            yield chunk

    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send multipart/form-data.")
    try:
        form = await MultiPartParser(
            request.headers,
            limited(),
            max_files=1,
            max_fields=_MOST_PARTS,
            max_part_size=most,
        ).parse()
    except (MultiPartException, KeyError):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The body is no form with a file.") from None
    typed = {name: value for name, value in form.items() if isinstance(value, str)}
    file = form.get("file")
    content = await file.read() if isinstance(file, UploadFile) else b""
    await form.close()
    return typed, content or typed.get("text", "").encode("utf-8", "replace")


def _read(content: bytes, may_be_missing: Sequence[str], further: Further = ()) -> Sheet:
    """Return the rows of a file, as every command of stroke reads files."""
    sheet = Sheet()
    if not content.strip():
        sheet.unreadable = "empty"
        return sheet
    # The reader takes files; this one is gone before the request is answered.
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(content)
        file.flush()
        try:
            with patient_rows(Path(file.name), further) as rows:
                for row in rows.rows:
                    sheet.rows += 1
                    if sheet.rows > BATCH_SIZE:
                        sheet.too_many = True
                        return sheet
                    if len(sheet.first) < _PREVIEWED and row.problem is None:
                        sheet.first.append(dict(row.cells))
                    try:
                        _take(sheet, row, may_be_missing, further)
                    except InvalidData as error:
                        _refuse(sheet, [Problem(row.line, "", str(error))])
        except InvalidData as error:
            # It names the file, which is ours, and columns; never a value.
            sheet.unreadable = (
                str(error).replace(f"{Path(file.name).name}: ", "").replace(file.name, "the file")
            )
    return sheet


def _take(sheet: Sheet, row: FileRow, may_be_missing: Sequence[str], further: Further) -> None:
    """Keep a row's patient, or what is wrong with it. Raises ``InvalidData`` for no such row."""
    if row.problem is not None:
        raise InvalidData(row.problem)
    try:
        patient = patient_of_cells(row.cells, may_be_missing, further)
    except InvalidPatient as error:
        _refuse(sheet, [Problem(row.line, each.field, each.reason) for each in error.violations])
    else:
        sheet.patients.append(patient)
        sheet.lines.append(row.line)


def _refuse(sheet: Sheet, problems: list[Problem]) -> None:
    sheet.wrong_rows += 1
    sheet.problems += problems


def _said(problem: Problem, language: Language) -> tuple[str, str, str, bool]:
    """Return line, column and reason, and whether the reason is in the page's language."""
    column = words.feature(problem.column, language) if problem.column else ""
    reason = mistake(problem.reason, language)
    return language.number(problem.line), column, reason or problem.reason, reason is not None


def _results(
    sheet: Sheet, assessed: Sequence[RiskAssessment], ids: Sequence[int] | None, language: Language
) -> list[dict[str, Any]]:
    return [
        {
            "line": language.number(line),
            "id": None if ids is None else ids[place],
            "name": patient.name or words.NOTHING,
            "age": language.number(patient.age),
            "sex": words.sex(patient.gender, language),
            "in_100": in_100(assessment.probability, language),
            "interval": _interval(assessment, language),
            "category": assessment.category,
            "missing": ", ".join(words.feature(each, language) for each in assessment.missing),
            "support": _support(assessment),
        }
        for place, (line, patient, assessment) in enumerate(
            zip(sheet.lines[:_SHOWN], sheet.patients, assessed, strict=False)
        )
    ]


def _interval(assessment: RiskAssessment, language: Language) -> str:
    found = assessment.interval
    if found is None:
        return ""
    return interval_in_100(found.low, found.high, language)


def _support(assessment: RiskAssessment) -> str:
    return "" if assessment.support is None else str(assessment.support.level)


_SCORED: Final = (
    *("probability", "risk_category", "interval_low", "interval_high", "support", "missing"),
    *("model_version", "problem"),
)


def _file(
    sheet: Sheet, assessed: Sequence[RiskAssessment], version: str, further: Further = ()
) -> bytes:
    """Return the estimates as a file for spreadsheets: no cell of it is a formula."""
    known = (*RAW_FEATURES, "name", "country", "province")
    columns = ("line", *known, *(each.name for each in further), *_SCORED)
    lines: list[tuple[int, list[Any]]] = []
    for line, patient, each in zip(sheet.lines, sheet.patients, assessed, strict=True):
        interval, own = each.interval, dict(patient.further)
        lines.append(
            (
                line,
                [
                    line,
                    *(getattr(patient, name) for name in known),
                    *(own.get(declared.name) for declared in further),
                    each.probability,
                    str(each.category),
                    None if interval is None else interval.low,
                    None if interval is None else interval.high,
                    _support(each),
                    " ".join(each.missing),
                    version,
                    "",
                ],
            )
        )
    gaps = [None] * (len(columns) - 2)
    lines += [
        (each.line, [each.line, *gaps, f"{each.column} {each.reason}".strip()])
        for each in sheet.problems
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for _, cells in sorted(lines, key=lambda each: each[0]):
        writer.writerow([neutral(each) if isinstance(each, str) else each for each in cells])
    return ("\ufeff" + text.getvalue()).encode("utf-8", "replace")
