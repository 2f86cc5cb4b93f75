"""What the lifespan hands to every request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, cast

from fastapi import Request

from stroke.application.access.browser_sign_in import BrowserSignIn
from stroke.application.access.callers import Callers
from stroke.application.access.clients import CdsClients
from stroke.application.access.sessions import Sessions
from stroke.application.audit.trail import AuditTrail
from stroke.application.clinical.hospital import HospitalService
from stroke.application.erasure.jobs import ErasureJobService
from stroke.application.models.agreement import AgreementService
from stroke.application.models.deployments import DeploymentService
from stroke.application.models.following import Follower
from stroke.application.platform.ports import ReportBoard
from stroke.application.predictions.outcomes import OutcomeService
from stroke.application.predictions.prediction import PredictionService
from stroke.application.quality.insights import InsightsService
from stroke.application.quality.performance import PerformanceService
from stroke.config import ClinicalSettings
from stroke.container.cards import ModelCards
from stroke.container.models import Listed
from stroke.domain.clinical.codes import CodeBook
from stroke.entrypoints.api.admission import Admission
from stroke.entrypoints.api.rates import Rates

KEY: Final = "stroke"
REFUSED: Final = "refused"
"""Under it is a callable that takes the status of a request that the server refused by itself."""


class ApiState(NamedTuple):
    """The parts that routes call, built once when the application starts."""

    predictions: PredictionService
    outcomes: OutcomeService
    admission: Admission
    most_bytes: int
    most_patient_bytes: int
    callers: Callers
    insecure: bool
    """Whether other machines may call, too, while there is no key."""
    audit: AuditTrail
    erasures: ErasureJobService
    rates: Rates | None
    """The rates of keys and sites; None where neither has one."""
    refuse_outside: bool
    """Whether patients outside of the training data are refused."""
    changes_need_all_sites: bool
    """Whether only who reaches all sites may change what is served to them."""
    insights: InsightsService
    performance: PerformanceService
    sessions: Sessions
    hospital: HospitalService
    code_book: CodeBook
    clinical: ClinicalSettings
    cds_clients: CdsClients | None
    """Record systems that sign a token for each call; None where none is set."""
    browser_sign_in: BrowserSignIn | None
    """None where browsers cannot sign in at an OpenID provider."""
    sign_in_seconds: float
    """How long a browser may stay there."""
    cards: ModelCards
    reports: ReportBoard
    """What the commands of the pipeline saw last."""
    deployments: DeploymentService
    follower: Follower
    agreement: AgreementService
    shown: int
    """Of how many of the newest predictions it is said how far shadows agree."""
    models: Callable[[], list[Listed]]
    """Lists the models of the store. It reads files."""


def api_state(request: Request) -> ApiState:
    """Return the parts. One dict look-up: resolving ``Depends`` costs as much as scoring."""
    return cast("ApiState", request.scope["state"][KEY])
