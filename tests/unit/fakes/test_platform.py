"""The fake of the board of reports keeps the promises of its port."""

from __future__ import annotations

import pytest

from contracts.platform import ReportBoardContract
from fakes.platform import FakeReportBoard
from stroke.domain.errors import StoreUnavailable


class TestFakeReportBoard(ReportBoardContract):
    @pytest.fixture
    def board(self) -> FakeReportBoard:
        return FakeReportBoard()

    @pytest.fixture
    def away(self) -> FakeReportBoard:
        board = FakeReportBoard()
        board.failing = StoreUnavailable("away")
        return board
