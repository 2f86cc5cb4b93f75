"""What fakes share whose port says that every call may fail."""

from __future__ import annotations

from stroke.domain.errors import StrokeError


class Failing:
    """While ``failing`` is set, every call raises it."""

    failing: StrokeError | None = None

    def raise_if_failing(self) -> None:
        if self.failing is not None:
            raise self.failing
