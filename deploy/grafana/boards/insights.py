"""What is predicted: risks, provinces, ages, drift, and how right the risks are."""

from __future__ import annotations

from boards import panels
from boards.panels import Board, bars, lines, sql_bars, sql_table
from boards.queries import QUERIES


def _rows() -> dict[str, list[panels.PanelBuilder]]:
    return {
        "Predictions (Prometheus)": _predictions(),
        "Drift": _drift(),
        "Performance": _performance(),
        "Predictions (SQL Server)": _stored(),
    }


def _predictions() -> list[panels.PanelBuilder]:
    return [
        bars(
            "Risks, 24 h",
            "sum by (le) (increase(stroke_prediction_probability_bucket[24h]))",
            "up to {{le}}",
            unit="none",
            about="Predictions with a probability of at most le, added up.",
        ),
        lines(
            "Categories",
            {
                "{{risk_category}}": "sum by (risk_category) "
                "(rate(stroke_predictions_total[$__rate_interval]))"
            },
            unit="none",
            about="Predictions stored a second.",
        ),
        lines(
            "Mean risk, 1 h",
            {
                "{{model_version}}": "sum by (model_version) "
                "(increase(stroke_prediction_probability_sum[1h])) / sum by (model_version) "
                "(increase(stroke_prediction_probability_count[1h]))"
            },
            unit="percentunit",
            about="By the version of the model.",
        ),
    ]


def _drift() -> list[panels.PanelBuilder]:
    return [
        bars(
            "Population stability index",
            "max by (feature) (stroke_drift_psi)",
            "{{feature}}",
            unit="none",
            about="Against the training data. 0.1 is a shift, 0.25 a large one (Siddiqi 2006).",
        ),
        lines(
            "Population stability index",
            {"{{feature}}": "max by (feature) (stroke_drift_psi)"},
            unit="none",
            about="It tells nothing while there are few patients: see the panel beside it.",
        ),
        lines(
            "Patients behind it",
            {"{{feature}}": "max by (feature) (stroke_drift_samples)"},
            unit="none",
            about="The alert wants 1,000.",
        ),
    ]


def _performance() -> list[panels.PanelBuilder]:
    everybody = 'group="all"'

    def with_interval(measure: str) -> dict[str, str]:
        return {
            name: f'stroke_performance_{name}{{measure="{measure}",{everybody}}}'
            for name in ("low", "value", "high")
        }

    return [
        lines(
            "Calibration slope",
            with_interval("calibration_slope"),
            unit="none",
            about="1 is right; below, risks are too extreme. With its interval.",
        ),
        lines(
            "Calibration intercept",
            with_interval("calibration_intercept"),
            unit="none",
            about="0 is right; above, risks are too low.",
        ).min(-1),
        lines(
            "AUC",
            with_interval("auc")
            | {"when trained": 'max(stroke_performance_reference{measure="auc"})'},
            unit="none",
            about="Chance that a patient with a stroke got the higher risk.",
        ),
        lines(
            "Observed to expected strokes",
            {
                "{{group}} {{level}}": 'stroke_performance_value{measure="oe_ratio"}',
            },
            unit="none",
            about="By gender and age group: 1 is right.",
        ),
        lines(
            "Outcomes",
            {
                "patients {{level}}": f"stroke_performance_samples{{{everybody}}}",
                "strokes {{level}}": f"stroke_performance_events{{{everybody}}}",
            },
            unit="none",
            about="What the measures rest on.",
        ),
        bars(
            "Measures that dropped",
            "max by (measure) (stroke_performance_dropped)",
            "{{measure}}",
            unit="none",
            about="1 is much worse than when the model was trained.",
        ),
    ]


def _stored() -> list[panels.PanelBuilder]:
    few = "Groups of fewer than five are left out."
    return [
        sql_bars("Risks", QUERIES["risk"], about=f"Predictions by probability. {few}"),
        sql_bars("Ages", QUERIES["ages"], about=f"By tens of years. {few}"),
        sql_bars("Provinces", QUERIES["provinces"], about=f"The twenty with most. {few}"),
        sql_table("Categories", QUERIES["categories"], about=few),
        sql_table("Days", QUERIES["days"], about=f"In UTC. {few}"),
        sql_table("Versions of the model", QUERIES["versions"], about=few),
    ]


def board() -> Board:
    """Return the dashboard."""
    about = "What is predicted, whether patients have changed, and whether risks came true."
    return panels.board("insights", "Prediction insights", about, _rows())
