"""Composition of what is served: who changes it, and what makes a process follow."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from stroke.adapters.linux.threads import spent_by
from stroke.adapters.prometheus.deployment import CanaryMetrics, ShadowMetrics
from stroke.adapters.sql.shadow_scores import SqlShadowScores, without_waiting_for_the_disk
from stroke.application.audit.trail import AuditTrail
from stroke.application.models.deployments import Asker, DeploymentService, Wish
from stroke.application.models.following import Follower
from stroke.application.models.guards import Breach, CanaryGuard, Limits
from stroke.application.models.notices import Notices
from stroke.application.models.ports import (
    AnsweredRisks,
    DeploymentStore,
    ShadowScores,
    Turns,
    Webhook,
)
from stroke.application.models.shadows import Compared, ShadowScoring, Storing, Yielding
from stroke.application.models.shared_guard import OutcomeLimits, SharedGuard
from stroke.application.predictions.deployed import Deployed, ModelRun, Serving, summary
from stroke.application.predictions.ports import (
    OutcomeRepository,
    PredictionObserver,
    RiskModel,
)
from stroke.config import (
    CanarySettings,
    DatabaseSettings,
    ModelSettings,
    Settings,
    ShadowSettings,
)
from stroke.container.engines import engine_of
from stroke.container.failures import FailureLog
from stroke.container.models import describe_deployable, load_deployable, load_model, verified
from stroke.container.named_models import latest_deployment
from stroke.domain.audit import AuditAction, AuditOutcome
from stroke.domain.deployment import DeploymentAction
from stroke.domain.errors import DeploymentRefused, ModelError
from stroke.domain.prediction import Prediction
from stroke.domain.risk import ModelDescription

_log = logging.getLogger("stroke.models")


def deployment_service(  # noqa: PLR0917 -- the container passes them in order
    store: DeploymentStore,
    model: RiskModel,
    settings: Settings,
    audit: AuditTrail,
    now: Callable[[], datetime],
    loaded: Callable[[str], ModelDescription | None],
) -> DeploymentService:
    """Return what changes which models are served; ``model`` is that of the setting.

    ``loaded`` describes what this process has in memory.
    """

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
        loaded=loaded,
    )


def follower_of(
    store: DeploymentStore,
    serving: Serving,
    settings: ModelSettings,
    swapped: Callable[[Deployed], None],
) -> Follower:
    """Return what makes this process serve what the deployment says."""

    def said(deployed: Deployed) -> None:
        swapped(deployed)
        _log.info(summary(deployed))

    return Follower(
        store,
        serving,
        partial(load_deployable, settings),
        swapped=said,
        tell=_log.warning,
        clock=time.monotonic,
    )


def check_champion(settings: Settings) -> None:
    """Return if the champion of the deployment can be found; raise ``ModelError`` otherwise.

    Before a worker starts: each of them would end, and be started again. Raises
    ``StoreUnavailable``. Not to be called from a running event loop.
    """
    found = latest_deployment(settings.database)
    if found is None:
        return
    version = found.champion.version
    try:
        describe_deployable(settings.model, version)
    except ModelError as error:
        if load_model(settings.model).description.version != version:
            raise ModelError(f"the champion {version} cannot be loaded: {error}") from error


def model_failures(seconds: float) -> FailureLog:
    """Return what logs failures of models that no caller meets, each once in ``seconds``."""
    return FailureLog(_log, seconds)


def shadow_scoring(  # noqa: PLR0917 -- the container passes them in order
    serving: Serving,
    settings: ShadowSettings,
    metrics: ShadowMetrics,
    store: Callable[[], ShadowScores],
    now: Callable[[], datetime],
    failures: FailureLog,
) -> ShadowScoring:
    """Return what lets the shadows score. Their thread calls ``store`` before it first writes."""

    def seen(compared: Compared) -> None:
        metrics.seen(compared)
        if compared.error is not None:
            failures.note(f"the shadow {compared.version} failed", compared.error)
        if compared.trouble is not None:
            failures.note("scores of shadows cannot be stored", compared.trouble)

    return ShadowScoring(
        serving,
        most_waiting=settings.queue,
        seen=seen,
        gather=settings.gather_seconds,
        storing=Storing(store, now) if settings.store else None,
        # A thread that always has work may reach 1, too: whoever says 1 means never.
        yielding=Yielding(settings.busy, settings.busy_share, spent_by)
        if settings.busy < 1
        else None,
    )


def shadow_store(settings: DatabaseSettings) -> ShadowScores:
    """Return the store of the shadows' thread, on a connection of its own."""
    engine = without_waiting_for_the_disk(engine_of(settings))
    return SqlShadowScores(engine, statement_timeout=settings.statement_timeout_seconds)


def canary_guard(serving: Serving, settings: CanarySettings) -> CanaryGuard:
    """Return what watches a canary in this process."""
    return CanaryGuard(serving, _limits(settings))


def shared_guard(  # noqa: PLR0917 -- the container passes them in order
    store: DeploymentStore,
    answered: AnsweredRisks,
    outcomes: OutcomeRepository,
    turns: Turns,
    settings: CanarySettings,
    now: Callable[[], datetime],
) -> SharedGuard:
    """Return what judges a canary by what all workers have stored."""
    return SharedGuard(
        store,
        answered,
        outcomes,
        turns,
        limits=_limits(settings),
        outcome_limits=OutcomeLimits(
            settings.outcomes, settings.strokes, settings.oe_ratio, settings.auc_drop
        ),
        newest=settings.newest,
        every=timedelta(seconds=settings.look_seconds),
        now=now,
    )


def _limits(settings: CanarySettings) -> Limits:
    return Limits(
        settings.patients,
        settings.errors,
        settings.seconds,
        settings.band_shift,
        settings.psi,
    )


class Watchers:
    """Hands each commit to the observer, and each commit and run to what watches a canary.

    ``failures`` logs why a model failed: where a canary does, its champion answers instead, and
    no caller is concerned.
    """

    def __init__(
        self, observer: PredictionObserver, guard: CanaryGuard, failures: FailureLog
    ) -> None:
        self._observer = observer
        self._guard = guard
        self._failures = failures

    def committed(self, predictions: Sequence[Prediction], seconds: float) -> None:
        """Hand it on."""
        self._observer.committed(predictions, seconds)
        self._guard.committed(predictions)

    def ran(self, run: ModelRun) -> None:
        """Hand it to the guard, and log why it failed."""
        self._guard.ran(run)
        if run.error is not None:
            self._failures.note(f"the model {run.version} failed", run.error)


def webhook_of(settings: ModelSettings) -> Webhook | None:
    """Return the address that gets word of canaries that were taken back; None without one."""
    if settings.webhook_url is None:
        return None
    # It is imported where somebody has one.
    from stroke.adapters.webhooks.https import HttpsWebhook  # noqa: PLC0415

    return HttpsWebhook(settings.webhook_url.get_secret_value(), seconds=settings.webhook_seconds)


def notices(settings: ModelSettings, webhook: Webhook | None) -> Notices:
    """Return what sends to the webhook."""
    return Notices(webhook, attempts=settings.webhook_attempts, tell=_log.error)


async def take_back(
    breach: Breach | None,
    deployed: Deployed,
    service: DeploymentService,
    metrics: CanaryMetrics,
    notices: Notices,
) -> bool:
    """Take the canary of ``deployed`` back if there is a breach; return whether it was.

    If several workers see it, one of them does. Raises ``StoreUnavailable``.
    """
    if breach is None or deployed.challenger is None:
        return False
    version = deployed.challenger.description.version
    reason = f"guard {breach.guard}: {breach.reason}"
    wish = Wish(DeploymentAction.CANARY_BREACH, reason=reason, after=deployed.number)
    try:
        after = await service.change(wish, Asker("service:canary-guard"))
    except DeploymentRefused:
        return False  # another worker was faster, or somebody
    metrics.breached(version, breach.guard)
    notices.taken_back(version, breach.guard, after)
    _log.error("the canary %s was taken back: %s", version, reason)
    return True
