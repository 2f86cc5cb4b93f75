"""Runs the checks of a stack: a check may need another one, and no failure stops the rest."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stroke.application.doctor.findings import Finding, State
from stroke.domain.errors import StrokeError


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at. ``work`` returns what there is to say when it is well, or raises.

    Without ``work`` the thing is not configured, and ``setting`` names what would. ``needs`` are
    checks that have to be well before, ``after`` checks that have to have ended: both stand before
    this one. ``seconds`` is how long ``work`` may take where it is more than others may.
    """

    name: str
    work: Callable[[], Awaitable[str]] | None
    remedy: str
    needs: Sequence[str] = ()
    after: Sequence[str] = ()
    setting: str = ""
    seconds: float = 0.0


class Doctor:
    """Makes all of ``checks``; each has ``seconds``, or as long as it says itself."""

    def __init__(self, checks: Sequence[Check], *, seconds: float) -> None:
        self._checks = checks
        self._seconds = seconds

    async def examine(
        self, on_finding: Callable[[Finding], None] = lambda _: None
    ) -> list[Finding]:
        """Return one finding per check, in their order; ``on_finding`` gets each at its end.

        Checks that do not need each other run side by side. Never raises what a check raises.
        """
        ends: dict[str, asyncio.Task[Finding]] = {}
        async with asyncio.TaskGroup() as group:
            for check in self._checks:
                before = {name: ends[name] for name in (*check.needs, *check.after)}
                ends[check.name] = group.create_task(self._finding(check, before, on_finding))
        return [end.result() for end in ends.values()]

    async def _finding(
        self,
        check: Check,
        before: Mapping[str, asyncio.Task[Finding]],
        on_finding: Callable[[Finding], None],
    ) -> Finding:
        found = {name: await end for name, end in before.items()}
        finding = _unmet(check, [found[name] for name in check.needs])
        if finding is None:
            finding = await self._look(check)
        on_finding(finding)
        return finding

    async def _look(self, check: Check) -> Finding:
        if check.work is None:
            return Finding(check.name, State.NOT_CONFIGURED, f"set {check.setting}")
        seconds = max(self._seconds, check.seconds)
        try:
            async with asyncio.timeout(seconds):
                return Finding(check.name, State.OK, await check.work())
        except StrokeError as error:
            reason = str(error)
        except TimeoutError:
            reason = f"no answer within {seconds:g} s"
        except Exception as error:  # noqa: BLE001 -- one broken check must not hide the others
            # Not its message, which may quote a row.
            reason = f"the check itself failed: {type(error).__name__} in {_place(error)}"
        return Finding(check.name, State.FAILED, reason, check.remedy)


def _place(error: BaseException) -> str:
    """Return the file and the line that raised: without them, nobody can look into a fault."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


def _unmet(check: Check, needed: Sequence[Finding]) -> Finding | None:
    """Return what stands for a check that cannot be made, if it cannot."""
    if check.work is None:
        return None
    lacking = [one for one in needed if one.state is not State.OK]
    if not lacking:
        return None
    if all(one.state is State.NOT_CONFIGURED for one in lacking):
        return Finding(check.name, State.NOT_CONFIGURED, lacking[0].detail)
    broken = [one.check for one in lacking if one.state is not State.NOT_CONFIGURED]
    return Finding(check.name, State.NOT_CHECKED, f"needs: {', '.join(broken)}")
