"""The fake of scratch is held to the port's suite."""

from __future__ import annotations

import pytest

from contracts.scratch import ScratchContract
from fakes.scratch import FakeScratch


class TestFakeScratch(ScratchContract):
    @pytest.fixture
    def scratch(self) -> type[FakeScratch]:
        return FakeScratch
