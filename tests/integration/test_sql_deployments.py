"""SqlDeploymentStore on the databases themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.models import DeploymentStoreContract
from stroke.adapters.sql.deployments import SqlDeploymentStore
from stroke.adapters.sql.engine import create_engine

pytestmark = pytest.mark.anyio


class TestSqlDeploymentStore(DeploymentStoreContract):
    @pytest.fixture
    async def store(self, engine: AsyncEngine) -> SqlDeploymentStore:
        return SqlDeploymentStore(engine, statement_timeout=30)

    @pytest.fixture
    async def away(self, tmp_path: Path) -> AsyncIterator[SqlDeploymentStore]:
        url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "empty.db"))
        without_tables = create_engine(url, pool_size=1, connect_timeout=5)
        yield SqlDeploymentStore(without_tables, statement_timeout=30)
        await without_tables.dispose()
