"""The HTML pages of reports. What draws plots is imported when a page is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stroke.application.quality.drift import DriftReport
    from stroke.domain.agreement import AgreementReport
    from stroke.domain.performance import PerformanceReport


def drift_page(report: DriftReport, *, threshold: float, minimum: int) -> str:
    """Return the page of a drift report.

    A feature has drifted when its stability index is above ``threshold`` and it was counted in
    ``minimum`` predictions or more.
    """
    from stroke.adapters.report.drift import render  # noqa: PLC0415 -- start-up time

    return render(report, threshold=threshold, minimum=minimum)


def performance_page(
    reports: Sequence[PerformanceReport], agreements: Sequence[AgreementReport] = ()
) -> str:
    """Return one page of ``reports``, a section for each; those of shadows follow."""
    from stroke.adapters.report.model_quality import render  # noqa: PLC0415 -- start-up time

    return render(reports, agreements)
