"""The card of a model, as one HTML page that needs nothing else."""

from __future__ import annotations

from stroke.adapters.report.cells import Cell
from stroke.adapters.report.templating import fill
from stroke.application.models.card import ModelCard, Section, facts_of, sections_of


def render(card: ModelCard) -> str:
    """Return the page. It has no script, no font, no address, and shows no patient."""
    return fill(
        "model_card.html.j2",
        name=card.name,
        notice=card.notice,
        known=facts_of(card),
        sections=[_shown(each, f"s{at}") for at, each in enumerate(sections_of(card))],
    )


def _shown(section: Section, mark: str) -> dict[str, object]:
    return {
        "id": mark,
        "title": section.title,
        "texts": section.texts,
        "columns": [Cell(name) for name in section.columns],
        "rows": [
            [Cell(text, is_header=at == 0) for at, text in enumerate(row)] for row in section.rows
        ],
    }
