"""Plan a change, find what was planned, and execute exactly that."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from stacks import cloud
from stacks.cloud import Stack, translated
from stacks.errors import StackError

_PREFIX: Final = "plan-"
_NO_CHANGE: Final = ("didn't contain changes", "No updates are to be performed")
_STABLE: Final = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
}


@dataclass(frozen=True)
class Change:
    """What happens to one resource. ``replacement``: True, False, Conditional, or empty."""

    action: str
    kind: str
    name: str
    replacement: str


@dataclass(frozen=True)
class ChangeSet:
    """A planned change. With ``is_empty`` nothing differs, and there is nothing to execute."""

    id: str
    name: str
    stack: Stack
    changes: tuple[Change, ...]
    is_empty: bool


def plan(
    client: Any,
    stack_name: str,
    *,
    body: str,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
    now: datetime,
) -> ChangeSet:
    """Make a change set and leave it to be applied; older plans of the stack are dropped."""
    stack = cloud.find(client, stack_name)
    if stack is not None and stack.is_empty:
        _remove_empty(client, stack)
        stack = None
    if stack is not None:
        _demand_stable(stack)
        _drop_plans(client, stack)
    # The time alone would give two plans of one second one name, and the approval of one the other.
    name = f"{_PREFIX}{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    with translated():
        made = client.create_change_set(
            StackName=stack_name,
            ChangeSetName=name,
            ChangeSetType="CREATE" if stack is None else "UPDATE",
            TemplateBody=body,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
    return _read(client, made["Id"], stack_name)


def planned(client: Any, stack_name: str, name: str | None) -> ChangeSet:
    """Return the change set called ``name``, else the newest. Raises ``StackError``."""
    stack = cloud.get(client, stack_name)
    found = [each for each in _plans(client, stack) if name in {None, each["ChangeSetName"]}]
    if not found:
        what = f"change set {name}" if name else "planned change"
        raise StackError(f"{stack_name} has no {what}: run deploy.sh plan first")
    return _read(
        client, max(found, key=lambda each: each["CreationTime"])["ChangeSetId"], stack_name
    )


def execute(client: Any, change_set: ChangeSet) -> Stack:
    """Execute it and wait; return the stack. Raises ``StackError`` when it fails."""

    def execution() -> str:
        return str(client.describe_change_set(ChangeSetName=change_set.id)["ExecutionStatus"])

    with translated():
        client.execute_change_set(ChangeSetName=change_set.id)
    # First the change set: just after the call, the stack may still show how it was before.
    cloud.poll(execution, {"AVAILABLE", "EXECUTE_IN_PROGRESS"}.__contains__)
    status = cloud.wait(client, change_set.stack)
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        why = "; ".join(cloud.failures(client, change_set.stack)[:3]) or "see its events"
        raise StackError(f"{change_set.stack.name} is {status}: {why}")
    return cloud.get(client, change_set.stack.id)


def drop(client: Any, change_set: ChangeSet) -> None:
    """Remove a change set that is not to be executed."""
    with translated():
        client.delete_change_set(ChangeSetName=change_set.id)


def _read(client: Any, change_set: str, stack_name: str) -> ChangeSet:
    with translated():
        while (seen := client.describe_change_set(ChangeSetName=change_set))["Status"] in {
            "CREATE_PENDING",
            "CREATE_IN_PROGRESS",
        }:
            time.sleep(2)
        reason = seen.get("StatusReason", "")
        is_empty = seen["Status"] == "FAILED" and any(text in reason for text in _NO_CHANGE)
        if seen["Status"] != "CREATE_COMPLETE" and not is_empty:
            raise StackError(f"AWS cannot plan {stack_name}: {' '.join(reason.split())}")
        if not is_empty and seen["ExecutionStatus"] != "AVAILABLE":
            raise StackError(
                f"{seen['ChangeSetName']} of {stack_name} is {seen['ExecutionStatus']}: plan again"
            )
        pages = client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
        changes = tuple(_change(each) for page in pages for each in page["Changes"])
    stack = cloud.get(client, stack_name)
    return ChangeSet(seen["ChangeSetId"], seen["ChangeSetName"], stack, changes, is_empty)


def _change(listed: dict[str, Any]) -> Change:
    resource = listed["ResourceChange"]
    return Change(
        resource["Action"],
        resource["ResourceType"],
        resource["LogicalResourceId"],
        resource.get("Replacement", ""),
    )


def _plans(client: Any, stack: Stack) -> list[dict[str, Any]]:
    with translated():
        pages = client.get_paginator("list_change_sets").paginate(StackName=stack.id)
        return [
            each
            for page in pages
            for each in page["Summaries"]
            if each["StackId"] == stack.id
            and each["ChangeSetName"].startswith(_PREFIX)
            and each.get("ExecutionStatus") in {"AVAILABLE", "UNAVAILABLE", "OBSOLETE"}
        ]


def _drop_plans(client: Any, stack: Stack) -> None:
    for each in _plans(client, stack):
        with translated():
            client.delete_change_set(ChangeSetName=each["ChangeSetId"])


def _remove_empty(client: Any, stack: Stack) -> None:
    with translated():
        client.delete_stack(StackName=stack.id)
    cloud.wait(client, stack)


def _demand_stable(stack: Stack) -> None:
    if stack.status in _STABLE:
        return
    if stack.status.endswith("_IN_PROGRESS"):
        raise StackError(f"{stack.name} is {stack.status}: wait until it is done")
    raise StackError(f"{stack.name} is {stack.status}: remove it (deploy.sh destroy), or mend it")
