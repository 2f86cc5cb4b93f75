"""Which models are served, in the service's database: the table ``deployments``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.tables import deployments as table
from stroke.application.models.ports import DeploymentStore
from stroke.domain.deployment import Deployment, DeploymentAction, Role
from stroke.domain.errors import DeploymentChanged, PredictionRejected


class SqlDeploymentStore(DeploymentStore):
    """Every call is one transaction on one connection of ``engine``.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    async def latest(self) -> Deployment | None:
        found = await self.history(limit=1)
        return found[0] if found else None

    async def append(self, entries: Sequence[Deployment]) -> None:
        try:
            async with self._transaction(writes=True) as connection:
                await connection.execute(insert(table), [_row(each) for each in entries])
        except PredictionRejected as error:
            if isinstance(error.__cause__, IntegrityError):
                raise DeploymentChanged(
                    "the deployment was changed by somebody else meanwhile: look again"
                ) from error
            raise

    async def history(self, *, limit: int, before: int | None = None) -> list[Deployment]:
        query = select(table).order_by(table.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(table.c.number < before)
        async with self._transaction() as connection:
            return [_deployment(row) for row in await connection.execute(query)]


def _row(deployment: Deployment) -> dict[str, Any]:
    at = deployment.at
    return {
        "number": deployment.number,
        "at": None if at is None else at.astimezone(UTC).replace(tzinfo=None),
        "actor": deployment.by,
        "action": str(deployment.action),
        "model": deployment.model,
        "reason": deployment.reason,
        "roles": {
            "champion": _role_as_json(deployment.champion),
            "challenger": None
            if deployment.challenger is None
            else _role_as_json(deployment.challenger),
            "shadows": [_role_as_json(each) for each in deployment.shadows],
            "former": list(deployment.former),
        },
    }


def _deployment(row: Row[Any]) -> Deployment:
    roles = row.roles
    challenger = roles["challenger"]
    return Deployment(
        row.number,
        DeploymentAction(row.action),
        _role(roles["champion"]),
        None if challenger is None else _role(challenger),
        tuple(_role(each) for each in roles["shadows"]),
        tuple(roles["former"]),
        None if row.at is None else row.at.replace(tzinfo=UTC),
        row.actor,
        row.reason,
        row.model,
    )


def _role_as_json(role: Role) -> dict[str, Any]:
    return {
        "version": role.version,
        "since": None if role.since is None else role.since.astimezone(UTC).isoformat(),
        "by": role.by,
        "reason": role.reason,
        "share": role.share,
    }


def _role(found: Mapping[str, Any]) -> Role:
    since = found["since"]
    return Role(
        found["version"],
        None if since is None else datetime.fromisoformat(since),
        found["by"],
        found["reason"],
        found["share"],
    )
