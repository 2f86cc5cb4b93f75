"""Composition of what is served: who changes it, and what makes a process follow."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from stroke.application.audit.trail import AuditTrail
from stroke.application.models.deployments import Asker, DeploymentService
from stroke.application.models.following import Follower
from stroke.application.models.ports import DeploymentStore
from stroke.application.predictions.deployed import Deployed, Serving
from stroke.application.predictions.ports import RiskModel
from stroke.config import ModelSettings, Settings
from stroke.container.models import describe_deployable, load_deployable, verified
from stroke.domain.audit import AuditAction, AuditOutcome
from stroke.domain.risk import ModelDescription

_log = logging.getLogger("stroke.models")


def deployment_service(
    store: DeploymentStore,
    model: RiskModel,
    settings: Settings,
    audit: AuditTrail,
    now: Callable[[], datetime],
) -> DeploymentService:
    """Return what changes which models are served; ``model`` is that of the setting."""

    async def record(asker: Asker, target: str, outcome: AuditOutcome) -> None:
        await audit.record(
            AuditAction.MODEL_CHANGE,
            actor=asker.name,
            outcome=outcome,
            target=target,
            site=asker.site,
            request_id=asker.request_id,
        )

    def candidate(name: str) -> ModelDescription:
        return verified(settings.model, name).description

    return DeploymentService(
        store,
        saved=lambda: model.description,
        candidate=candidate,
        described=partial(describe_deployable, settings.model),
        record=record,
        now=now,
        most_shadows=settings.shadow.most,
    )


def follower_of(
    store: DeploymentStore,
    serving: Serving,
    settings: ModelSettings,
    swapped: Callable[[Deployed], None],
) -> Follower:
    """Return what makes this process serve what the deployment says."""
    return Follower(
        store,
        serving,
        partial(load_deployable, settings),
        swapped=swapped,
        tell=_log.warning,
        clock=time.monotonic,
    )
