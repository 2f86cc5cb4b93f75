"""The served model and its card."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from stroke.domain.further import FeatureKind
from stroke.entrypoints.api.schemas.predictions import AccuracyOut


class BandsOut(BaseModel):
    """Where the categories start, on this model's own probability scale."""

    medium: float
    high: float


class LackedOut(BaseModel):
    """The patients of the training data who really lacked the measurements.

    Whoever is not measured may be sicker than the other measurements say: the companion does not
    count that.
    """

    patients: int
    strokes: int = Field(description="how many of them had a stroke")
    expected: float = Field(description="how many strokes the companion expected")


class CompanionOut(BaseModel):
    """What assesses the patients who lack exactly the ``missing`` measurements."""

    name: str = Field(description="`model_variant` of its answers")
    missing: list[str]
    bands: BandsOut
    metrics: dict[str, Any] = Field(description="cross-validated, each with its 95 % interval")
    accuracy: AccuracyOut | None
    lacked: LackedOut | None = Field(description="null where the training data had none")


class FurtherOut(BaseModel):
    """A feature that the model declares for itself: a request must have it."""

    name: str
    type: FeatureKind
    range: tuple[float, float] | None = Field(None, description="lowest and highest number")
    unit: str = ""
    categories: list[str] = Field(default_factory=list, description="the words that it may be")
    may_be_missing: bool
    reference: float | str = Field(description="what explanations compare with")


class ModelOut(BaseModel):
    """The served model."""

    name: str
    version: str
    model_type: str
    sha256: str = Field(description="checksum of the served graph")
    features: list[str]
    bands: BandsOut
    metrics: dict[str, Any] = Field(description="cross-validated, each with its 95 % interval")
    training: dict[str, Any] = Field(description="facts of the training data")
    may_be_missing: list[str] = Field(description="measurements that a patient may lack")
    companions: list[CompanionOut] = Field(description="one for each combination of these")
    population: dict[str, Any] = Field(
        default_factory=dict,
        description="what it knows of those it was trained on: `interval_check` (intervals against "
        "a bootstrap of refits), `support` (how far values reach), `comparison` (average risk by "
        "gender and year of age), `fairness` (differences between groups), `cross_validated` "
        "(calibration, decision curve, groups), `updated` (what an update made of which model); "
        "empty for a model that came without",
    )
    further_features: list[FurtherOut] = Field(
        default_factory=list, description="those that only this model takes"
    )


class AttributeOut(BaseModel):
    """One of the source attributes that HTI-1 asks for."""

    paragraph: str = Field(description="of 45 CFR 170.315(b)(11)(iv)(B)")
    title: str
    answer: str | None = Field(description="null where it is open")
    whose: str = Field(description="who can answer it, where it is open")


class ChecklistItemOut(BaseModel):
    """One item of the TRIPOD+AI checklist, or a part of one."""

    item: str
    section: str
    applies: Literal["D", "E", "D;E"] = Field(description="development, evaluation, or both")
    asks: str
    status: Literal["answered", "partly", "open"]
    answer: str | None
    remains: str = Field(description="what the answer leaves open")
    whose: str = Field(description="who can say the rest")


class ModelCardOut(BaseModel):
    """A model's card, made from its artefact. It is no certification."""

    name: str
    version: str
    sha256: str = Field(description="checksum of the graph")
    model_type: str
    features: list[str]
    medium_from: float
    high_from: float
    training: dict[str, Any] = Field(description="facts of the training data")
    metrics: dict[str, Any] = Field(description="cross-validated, each with its 95 % interval")
    attributes: list[AttributeOut] = Field(description="the 31 source attributes of HTI-1")
    notice: str = Field(description="what a card is not")
    interval: str | None = Field(description="how sure the fit is of one patient")
    support: str | None = Field(description="whom the training data speak for")
    fairness: list[dict[str, Any]] = Field(
        description="the largest differences between levels of a group; empty where none was "
        "measured"
    )
    tripod: list[ChecklistItemOut] = Field(description="the TRIPOD+AI checklist, 52 parts")
    cross_validated: dict[str, Any] | None = Field(
        description="`calibration`, `decision_curve` and `groups` of patients not seen in "
        "training; null for a model that came without"
    )
    update: str | None = Field(
        default=None, description="what an update by outcomes made of which model"
    )
    judged: str | None = Field(
        default=None,
        description="whom the measures are of, where those are not the training data: the patients "
        "of an update",
    )
