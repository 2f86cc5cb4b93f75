"""Remove a stack, and find the stacks whose time is over."""

from __future__ import annotations

from datetime import date
from typing import Any

from stacks import cloud
from stacks.cloud import Stack, translated
from stacks.environments import NEVER
from stacks.errors import StackError
from stacks.template import Template


def kept(client: Any, stack: Stack) -> dict[str, str]:
    """Return what outlives the stack: ``name (id)``, and how (Retain or Snapshot)."""
    with translated():
        body = client.get_template(StackName=stack.id)["TemplateBody"]
        pages = client.get_paginator("list_stack_resources").paginate(StackName=stack.id)
        ids = {
            each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
            for page in pages
            for each in page["StackResourceSummaries"]
        }
    if not isinstance(body, str):  # of a template that was given as JSON
        return {}
    policies = Template(body).kept()
    return {f"{name} ({ids[name]})": how for name, how in policies.items() if name in ids}


def remove(client: Any, stack: Stack) -> None:
    """Delete it and wait. Raises ``StackError`` when it is protected, or stays."""
    if stack.protected:
        raise StackError(
            f"{stack.name} is protected from termination: deploy/aws/README.md tells how to go on"
        )
    with translated():
        client.delete_stack(StackName=stack.id)
    status = cloud.wait(client, stack)
    if status != "DELETE_COMPLETE":
        why = "; ".join(cloud.failures(client, stack)[:3]) or "see its events"
        raise StackError(f"{stack.name} is {status}: {why}")


def expired(stacks: list[Stack], today: date) -> list[Stack]:
    """Return the project's unprotected stacks whose tag ExpiresAt is a date before ``today``."""
    return [stack for stack in stacks if not stack.protected and _is_over(stack.tags, today)]


def _is_over(tags: dict[str, str], today: date) -> bool:
    if tags.get("Project") != "stroke":
        return False
    try:
        return date.fromisoformat(tags.get("ExpiresAt", NEVER)) < today
    except ValueError:  # `never`, or nothing that we wrote
        return False
