"""The files of model artefacts."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from stroke.domain.further import Further
from stroke.domain.performance import GAPS

GRAPH: Final = "model.onnx"
MANIFEST: Final = "manifest.json"
CARD: Final = "card.md"
PROVENANCE: Final = "provenance.json"


def content_version(name: str, graph: bytes) -> tuple[str, str]:
    """Return the version of a model and its graph's sha256; the one is made of the other."""
    sha256 = hashlib.sha256(graph).hexdigest()
    return f"{name}-{sha256[:12]}", sha256


def library_versions(*names: str) -> dict[str, str]:
    """Return the installed versions of the libraries that made an artefact."""
    return {name: version(name) for name in names}


def artefact_files(graph: bytes, manifest: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of an artefact by name."""
    return {
        GRAPH: graph,
        MANIFEST: (json.dumps(manifest, indent=2) + "\n").encode(),
        CARD: card(manifest).encode(),
    }


def further_part(further: Further) -> dict[str, list[dict[str, Any]]]:
    """Return the part of a manifest that declares ``further``; nothing where there is none."""
    return {"further_features": [each.as_data() for each in further]} if further else {}


def provenance(made_from: str, data_sha256: str | None, parent: str | None = None) -> bytes:
    """Return the file that says who made an artefact now, with which code, of which data.

    ``parent`` is the version of the model that an update was made of.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has a number and no name
        user = str(os.getuid())
    known = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": user,
        "made_from": made_from,
        "stroke_version": version("stroke"),
        "data_sha256": data_sha256,
        **({} if parent is None else {"parent_version": parent}),
    }
    return (json.dumps(known, indent=2) + "\n").encode()


def card(manifest: dict[str, Any]) -> str:
    """Return the model card in Markdown: what a person should know before trusting the model."""
    bands = manifest["bands"]
    lines = [
        f"# {manifest['name']}",
        "",
        f"{manifest['model_type']}, version `{manifest['version']}`.",
        "",
        "**Intended use.** Decision support: the probability that a patient like this one has had",
        "a stroke, as the training data records it. Not a diagnosis, not a medical device.",
        "",
        f"**Bands.** Medium from {bands['medium']}, high from {bands['high']}, on its own scale.",
        "",
        *_update_lines(manifest.get("updated")),
        *_further_lines(manifest.get("further_features")),
        *_training_lines(manifest.get("training")),
        *_count_lines((manifest.get("training") or {}).get("counts")),
        *_metric_lines(manifest.get("metrics"), manifest.get("updated")),
        *_interval_lines(manifest.get("interval_check")),
        *_cross_validated_lines(manifest.get("cross_validated")),
        *_fairness_lines(manifest.get("fairness")),
        *[
            line
            for each in manifest.get("companions", ())
            for line in _companion_lines(each, manifest.get("updated"))
        ],
    ]
    return "\n".join(lines)


def _update_lines(updated: dict[str, Any] | None) -> list[str]:
    if not updated:
        return []
    what = (
        "It was fitted anew to them."
        if updated["method"] == _REFIT
        else f"Its log-odds are {updated['intercept']:.4f} + {updated['slope']:.4f} times those of "
        "the model before."
    )
    drawn = updated.get("shrinkage")
    of_site = f" of the site {updated['site']}" if updated.get("site") and not drawn else ""
    lines = [
        f"**Update.** Made of version `{updated['parent']}` by the outcomes{of_site} of",
        f"{updated['patients']:,} patients, {updated['strokes']:,} with a stroke. {what}",
        f"Interval of one patient: {updated['interval']}.",
    ]
    if drawn:
        lines.append(
            f"It is for the site {updated['site']}, whose own {drawn['patients']:,} patients count "
            f"by {drawn['weight']:.0%}; the rest is of all sites."
        )
    return [*lines, ""]


def _further_lines(further: list[dict[str, Any]] | None) -> list[str]:
    if not further:
        return []
    return [
        "**Further features**, which a request must have for this model:",
        "",
        "| feature | values | may be missing |",
        "|---|---|---|",
        *(
            f"| {each['name']} | {_values(each)} | {'yes' if each['may_be_missing'] else 'no'} |"
            for each in further
        ),
        "",
    ]


def _values(feature: dict[str, Any]) -> str:
    if "range" in feature:
        low, high = feature["range"]
        return f"{low:g} to {high:g} {feature['unit']}".rstrip()
    return ", ".join(feature.get("categories", ("0", "1"))).replace("|", "\\|")


def _training_lines(training: dict[str, Any] | None) -> list[str]:
    if not training:
        return ["**Training data.** Unknown: the model was imported.", ""]
    glucose = training.get("missing_avg_glucose_level")
    and_glucose = f" and {glucose:,} without a glucose level" if glucose else ""
    return [
        f"**Training data.** {training['rows']:,} patients, {training['strokes']:,} with a stroke,",
        f"{training['missing_bmi']:,} without a BMI{and_glucose} (taken as the median to fit the",
        "full model). One data set: no",
        "claim is made for other populations; outcomes are not dated.",
        "",
    ]


_COUNTED: Final = {"gender": "Gender", "smoking_status": "Smoking status", "age_band": "Age"}


def _count_lines(counts: dict[str, dict[str, dict[str, int]]] | None) -> list[str]:
    if not counts:
        return []
    return [
        "**Whom it saw.** Patients, and how many of them had a stroke:",
        "",
        "| | | patients | strokes |",
        "|---|---|---|---|",
        *(
            f"| {_COUNTED[name]} | {kind} | {each['patients']:,} | {each['strokes']:,} |"
            for name, kinds in counts.items()
            for kind, each in kinds.items()
        ),
        "",
        "Whoever is unlike these patients is answered with a warning (`support`).",
        "",
    ]


def _interval_lines(check: dict[str, Any] | None) -> list[str]:
    if not check:
        return []
    ratio, coverage = check["standard_error_ratio"], check["coverage"]
    return [
        f"**Interval of one patient.** The model was refitted to {check['refits']:,} bootstrap",
        f"samples. The interval's standard error is {ratio['median']:.2f} times that of the refits",
        f"(for nine of ten patients {ratio['p5']:.2f} to {ratio['p95']:.2f} times), and it holds",
        f"{coverage['median']:.1%} of the refits ({coverage['p5']:.1%} to {coverage['p95']:.1%}).",
        "It says how sure the fit is. It says nothing of other populations.",
        "",
    ]


def _cross_validated_lines(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    return [
        "**Calibration**, cross-validated: ten groups of equal count, by their estimated risk.",
        "",
        "| estimated | observed | interval | patients |",
        "|---|---|---|---|",
        *(
            f"| {each['predicted']:.4f} | {each['observed']:.4f} | {each['low']:.4f} to "
            f"{each['high']:.4f} | {each['samples']:,} |"
            for each in found["calibration"]
        ),
        "",
        "**Groups**, cross-validated; 95 % intervals. Of groups that are too small there is no",
        "measure. The manifest has more measures, and the decision curve.",
        "",
        "| | | patients | AUC | interval | observed / expected | interval |",
        "|---|---|---|---|---|---|---|",
        *(_group_line(each) for each in found["groups"]),
        "",
    ]


def _group_line(group: dict[str, Any]) -> str:
    known = [group["measures"].get(name) for name in ("auc", "oe_ratio")]
    figures = [
        f"{each['value']:.4f} | {each['low']:.4f} to {each['high']:.4f}" if each else " | "
        for each in known
    ]
    name = _COUNTED[group["group"]]
    return f"| {name} | {group['level']} | {group['samples']:,} | {' | '.join(figures)} |"


def _fairness_lines(gaps: list[dict[str, Any]] | None) -> list[str]:
    if not gaps:
        return []
    return [
        "**Differences between groups**, cross-validated; 95 % intervals. Levels that are too",
        "small take no part. Strokes are more frequent in older patients: no calibrated model",
        "has equal odds there.",
        "",
        "| group | measure | difference | interval | highest | lowest | left out |",
        "|---|---|---|---|---|---|---|",
        *(_gap_line(each) for each in gaps),
        "",
    ]


def _gap_line(gap: dict[str, Any]) -> str:
    left_out = ", ".join(gap["left_out"])
    if gap["estimate"] is None:
        return f"| {gap['group']} | too few patients | | | | | {left_out} |"
    figure = gap["estimate"]
    return (
        f"| {gap['group']} | {GAPS[gap['measure']]} | {figure['value']:.4f} | "
        f"{figure['low']:.4f} to {figure['high']:.4f} | {gap['highest']} | {gap['lowest']} | "
        f"{left_out} |"
    )


_REFIT: Final = "refit"


def _metric_lines(
    metrics: dict[str, dict[str, float]] | None, updated: dict[str, Any] | None
) -> list[str]:
    if metrics and updated and updated["method"] != _REFIT:
        return [
            "**Cross-validated** on the patients of the update (5 times 5-fold; 95 % intervals):",
            "",
            *_metric_table(metrics),
            "",
            "A calibrated model has slope 1, intercept 0, O/E 1.",
            "",
        ]
    if not metrics:
        return ["**Metrics.** None: measure it (`stroke model evaluate`) before serving it.", ""]
    return [
        "**Cross-validated** (5 times 5-fold, patients not seen in training; 95 % bootstrap):",
        "",
        *_metric_table(metrics),
        "",
        "ECE over 10 bins of equal count. A calibrated model has slope 1, intercept 0, O/E 1.",
        "",
    ]


def _metric_table(metrics: dict[str, dict[str, float]]) -> list[str]:
    return [
        "| metric | value | interval |",
        "|---|---|---|",
        *(
            f"| {name} | {m['value']:.4f} | {m['low']:.4f} to {m['high']:.4f} |"
            for name, m in metrics.items()
        ),
    ]


_FITTED: Final = (
    "A companion assesses the patients who lack it. It was fitted to all patients, by their",
    "other measurements.",
)
_BY_ITSELF: Final = (
    "The model itself makes something of what is missing. How right it is about these patients is",
    "not known: `stroke performance` measures it.",
)


def _kind_of_companion(
    companion: dict[str, Any], updated: dict[str, Any] | None
) -> tuple[str, ...]:
    if updated and updated["method"] != _REFIT:
        return _MOVED
    return _FITTED if companion.get("metrics") else _BY_ITSELF


_MOVED: Final = (
    "The companion of the model before, moved by the same line. What it loses in AUC stays the",
    "same, because a line keeps every ranking.",
)


def _companion_lines(companion: dict[str, Any], updated: dict[str, Any] | None) -> list[str]:
    bands, missing = companion["bands"], " and ".join(companion["missing"])
    lines = [
        f"## Without {missing}",
        "",
        *_kind_of_companion(companion, updated),
        "",
        f"**Bands.** Medium from {bands['medium']}, high from {bands['high']}.",
        "",
    ]
    if compared := companion.get("compared"):
        auc, full = compared["auc"], compared["auc_of_full_model"]
        lost, patients = compared["auc_lost"], f"{compared['patients']:,}"
        lines += [
            f"**What is lost.** Of the same {patients} patients, who lack nothing, the companion's",
            f"AUC is {auc:.4f} and the full model's is {full:.4f}: the loss is {lost['value']:.4f}",
            f"({lost['low']:.4f} to {lost['high']:.4f}; below 0 is a gain).",
            "",
        ]
    if lacking := companion.get("lacking"):
        patients, strokes = f"{lacking['patients']:,}", f"{lacking['strokes']:,}"
        lines += [
            f"**Who really lacked it.** {patients} patients of the training data; {strokes} had a",
            f"stroke, and {lacking['expected']} were expected. Whoever was not measured may be",
            "sicker than their other measurements say. The companion does not count that.",
            "",
        ]
    if metrics := companion.get("metrics"):
        return [*lines, "Cross-validated as above:", "", *_metric_table(metrics), ""]
    return lines
