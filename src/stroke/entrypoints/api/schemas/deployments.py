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
