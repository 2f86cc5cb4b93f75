"""Models as commands name them: also by what they are in the deployment.

Like a replay it does without the service's container, and imports what reads a database when there
is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.config import DatabaseSettings, Settings
from stroke.container.models import load_deployable, load_model
from stroke.domain.deployment import CHALLENGER, CHAMPION, Deployment
from stroke.domain.errors import InvalidSetting, ModelError, ModelNotFound, StoreUnavailable


def named_model(
    settings: Settings, name: str | None, note: Callable[[str], object]
) -> OnnxRiskModel:
    """Return the model of a name, a version, a folder, an ``.onnx`` file, or a part it has.

    The parts are ``champion`` and ``challenger``, whatever else may have these names; None is the
    champion, too, but where the database does not say which one it is, ``note`` gets why and the
    model of the setting is taken. Raises ``ModelError``, and for a part ``StoreUnavailable`` and
    ``InvalidSetting``. Not to be called from a running event loop.
    """
    if name not in (None, CHAMPION, CHALLENGER):
        return load_model(settings.model, name)
    try:
        deployment = latest_deployment(settings.database)
    except (StoreUnavailable, InvalidSetting) as error:
        if name is not None:
            raise
        note(f"which model is the champion cannot be read, so the setting's is taken: {error}")
        deployment = None
    if name == CHALLENGER:
        if deployment is None or deployment.challenger is None:
            raise ModelNotFound("there is no challenger: see stroke model status")
        return load_deployable(settings.model, deployment.challenger.version)
    if deployment is None:  # nothing was ever changed
        return load_model(settings.model)
    return _champion(settings, deployment.champion.version)


def latest_deployment(settings: DatabaseSettings) -> Deployment | None:
    """Return what the database says is served; None where it was never changed, or is not there.

    Raises ``StoreUnavailable`` and ``InvalidSetting``. Not to be called from a running event loop.
    """
    from stroke.adapters.sql.deployments import SqlDeploymentStore  # noqa: PLC0415
    from stroke.container.engines import is_there, opened_engine  # noqa: PLC0415

    if not is_there(settings):
        return None

    async def latest() -> Deployment | None:
        async with opened_engine(settings) as engine:
            seconds = settings.statement_timeout_seconds
            return await SqlDeploymentStore(engine, statement_timeout=seconds).latest()

    return asyncio.run(latest())


def _champion(settings: Settings, version: str) -> OnnxRiskModel:
    try:
        return load_deployable(settings.model, version)
    except ModelError as error:
        # As a worker does: the setting may name what is not in the store.
        saved = load_model(settings.model)
        if saved.description.version != version:
            raise ModelError(f"the champion {version} cannot be loaded: {error}") from error
        return saved
