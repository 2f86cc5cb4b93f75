"""The wire of the served models. A public contract: names and meanings only ever grow."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from stroke.domain.deployment import LONGEST_REASON
from stroke.entrypoints.api.schemas.fields import EXACT_AS_FLOAT, PRINTABLE, WHOLE

ModelName = Annotated[str, Field(min_length=1, max_length=100, pattern=PRINTABLE)]


class RoleOut(BaseModel):
    """A model's version in the deployment."""

    version: str
    since: datetime | None = Field(description="null for the model of SAVED_MODEL")
    by: str | None
    reason: str | None
    share: float | None = Field(None, description="the challenger's part of the patients")


class DeploymentOut(BaseModel):
    """The models that are served from one change to the next."""

    number: int = Field(description="0 while nothing was changed: SAVED_MODEL is served")
    action: str = Field(description="what made it: begin, promote, rollback, canary, ...")
    at: datetime | None
    by: str | None
    reason: str | None
    model: str | None = Field(description="the version that the change was about")
    champion: RoleOut
    challenger: RoleOut | None
    shadows: list[RoleOut]
    former: list[str] = Field(description="champions before; a rollback takes the last one")


class ServedOut(BaseModel):
    """What one worker serves."""

    number: int = Field(description="of the deployment that this worker serves")
    champion: str
    challenger: str | None
    share: float
    shadows: list[str]
    trouble: dict[str, str] = Field(
        description="why models of the deployment are not served here, by their versions"
    )


class PresentOut(DeploymentOut):
    """The deployment that holds, and what the worker that answers serves."""

    served_here: ServedOut


class DeploymentsOut(BaseModel):
    """Deployments, the newest first."""

    items: list[DeploymentOut]
    next_before: int | None = Field(description="`before` of the next page; null on the last one")


class ListedModelOut(BaseModel):
    """A model of the store."""

    name: str
    version: str
    role: Literal["champion", "challenger", "shadow"] | None
    made_at: datetime | None
    made_by: str | None
    stroke_version: str | None
    data_sha256: str | None
    signed_by: str | None = Field(description="what the signature's file says, unchecked")


class ModelsOut(BaseModel):
    """The models of the store, by name."""

    items: list[ListedModelOut]


class DeploymentIn(BaseModel):
    """A change of what is served."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    action: Literal["promote", "rollback", "canary", "canary-stop", "shadow", "shadow-stop"]
    model: ModelName | None = Field(None, description="a name or a version in the store")
    share: float | None = Field(None, gt=0, lt=1, description="of a canary: 0.1 is a tenth")
    reason: Annotated[str, Field(max_length=LONGEST_REASON, pattern=PRINTABLE)] | None = None
    after: Annotated[int, Field(ge=0, lt=EXACT_AS_FLOAT), WHOLE] | None = Field(
        None, description="refuse unless the deployment has this number by now"
    )
    asks_for_more: bool = Field(
        False, description="allow a model that needs measurements that callers may leave out"
    )
    dry_run: bool = Field(False, description="check everything, and change nothing")


class EstimateOut(BaseModel):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class AgreementGroupOut(BaseModel):
    """Predictions of one level of a group. A group that is too small says only its size."""

    group: str = Field(description="all, gender, age_group or smoking_status")
    level: str
    compared: int
    mean: EstimateOut | None = Field(
        description="of the shadow's probability less the one that was answered"
    )
    standard_deviation: float | None
    largest: float | None = Field(description="the largest difference, without its sign")
    quantiles: dict[str, float] = Field(description="p1 to p99 of the differences, to 0.0001")
    changed: EstimateOut | None = Field(description="share whom it puts into another category")
    up: EstimateOut | None = Field(description="... into a higher one")
    down: EstimateOut | None = Field(description="... into a lower one")
    table: list[list[int]] = Field(
        description="counts by the answered category (rows) and the shadow's: Low, Medium, High"
    )


class AgreementOut(BaseModel):
    """How far one shadow agrees with what was answered."""

    model_version: str
    predictions: int
    is_part: bool = Field(description="whether only the newest predictions were read")
    not_comparable: dict[str, int] = Field(
        description="lacking (a measurement that the shadow needs), failed, or no stored risk"
    )
    answered_by: dict[str, int]
    groups: list[AgreementGroupOut]


class AgreementsOut(BaseModel):
    """How far shadows agree, one entry for each."""

    items: list[AgreementOut]
