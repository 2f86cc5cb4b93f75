"""The loop of the commands that keep running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stroke.domain.errors import InvalidData, StoreUnavailable
from stroke.entrypoints.cli.terminal.daemon import regularly

pytestmark = pytest.mark.anyio


class Looks:
    """Finds what it was given, one thing each time; errors are raised."""

    def __init__(self, *found: int | Exception) -> None:
        self._found: Iterator[int | Exception] = iter(found)

    async def __call__(self) -> int:
        found = next(self._found)
        if isinstance(found, Exception):
            raise found
        return found


async def test_what_is_found_is_shown_until_something_unexpected_happens() -> None:
    shown = list[int]()
    with pytest.raises(OSError, match="broken"):
        await regularly(Looks(1, 2, OSError("broken"), 3), shown.append, every=0)
    assert shown == [1, 2]


async def test_an_expected_error_is_one_line_and_the_next_look_follows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = list[int]()
    looks = Looks(1, StoreUnavailable("the database is away"), 2, OSError())
    with pytest.raises(OSError):  # noqa: PT011 -- raised without a text
        await regularly(looks, shown.append, every=0)
    assert shown == [1, 2]
    assert capsys.readouterr().err == "stroke: the database is away\n"


async def test_an_error_while_it_is_shown_ends_the_loop() -> None:
    def show(_: int) -> None:
        raise InvalidData("the page cannot be written")

    with pytest.raises(InvalidData, match="cannot be written"):
        await regularly(Looks(1, 2), show, every=0)
