"""CloudFormation as the commands need it; what it refuses becomes a ``StackError``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)
from botocore.parsers import ResponseParserError

from stacks.errors import StackError

_POLL_SECONDS: Final = 5.0
_GIVE_UP_SECONDS: Final = 2 * 3600.0  # SQL Server in two zones takes most of an hour
_REVIEW: Final = "REVIEW_IN_PROGRESS"


@dataclass(frozen=True)
class Stack:
    """A stack as it is now."""

    id: str
    name: str
    status: str
    tags: dict[str, str]
    parameters: dict[str, str]
    outputs: dict[str, str]
    protected: bool

    @property
    def is_empty(self) -> bool:
        """Whether it was only planned: it has no resources."""
        return self.status == _REVIEW


@contextmanager
def translated() -> Iterator[None]:
    """Tell what AWS says in one line."""
    try:
        yield
    except NoCredentialsError as error:
        raise StackError(
            "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except NoRegionError as error:
        raise StackError("no region: give --region or set AWS_REGION") from error
    except EndpointConnectionError as error:
        raise StackError(f"{error}: check the network, the region and AWS_ENDPOINT_URL") from error
    except ClientError as error:
        refusal = error.response["Error"]
        message = " ".join(str(refusal.get("Message", "")).split())
        what = f"AWS refuses {error.operation_name} ({refusal['Code']})"
        raise StackError(f"{what}: {message}" if message else what) from error
    except ResponseParserError as error:
        raise StackError("the endpoint answers with no XML: is AWS_ENDPOINT_URL right?") from error
    except BotoCoreError as error:
        raise StackError(f"AWS cannot be asked: {error}") from error


def open_client(region: str | None) -> Any:
    """Return a client of CloudFormation. Asks nothing yet."""
    with translated():
        return boto3.client("cloudformation", region_name=region)


def image_id(region: str | None, parameter: str) -> str:
    """Return the AMI that an SSM parameter names now."""
    with translated():
        client = boto3.client("ssm", region_name=region)
        return str(client.get_parameter(Name=parameter)["Parameter"]["Value"])


def find(client: Any, name: str) -> Stack | None:
    """Return the stack, or None if there is none."""
    try:
        with translated():
            found = client.describe_stacks(StackName=name)["Stacks"][0]
    except StackError as error:
        if "does not exist" in str(error):
            return None
        raise
    return _stack(found)


def every(client: Any) -> list[Stack]:
    """Return all stacks of the account and region."""
    with translated():
        pages = client.get_paginator("describe_stacks").paginate()
        return [_stack(found) for page in pages for found in page["Stacks"]]


def get(client: Any, name: str) -> Stack:
    """Return the stack. Raises ``StackError`` if there is none."""
    stack = find(client, name)
    if stack is None:
        raise StackError(f"there is no stack {name} in this account and region")
    return stack


def wait(client: Any, stack: Stack) -> str:
    """Wait until nothing changes any more; return the status (DELETE_COMPLETE when it is gone)."""

    def status() -> str:
        return str(client.describe_stacks(StackName=stack.id)["Stacks"][0]["StackStatus"])

    return poll(status, lambda seen: seen.endswith("_IN_PROGRESS") and seen != _REVIEW)


def poll(ask: Callable[[], str], is_busy: Callable[[str], bool]) -> str:
    """Ask until the answer is not busy any more; return it."""
    started = time.monotonic()
    while time.monotonic() - started < _GIVE_UP_SECONDS:
        with translated():
            seen = ask()
        if not is_busy(seen):
            return seen
        time.sleep(_POLL_SECONDS)
    raise StackError("not done after two hours: look at the stack's events")


def failures(client: Any, stack: Stack) -> list[str]:
    """Return why resources failed, the first first, since the last change began."""
    with translated():
        events = client.describe_stack_events(StackName=stack.id)["StackEvents"]
    found: list[str] = []
    for event in events:  # the newest first
        status = event["ResourceStatus"]
        if event["LogicalResourceId"] == stack.name and status in {
            "CREATE_IN_PROGRESS",
            "UPDATE_IN_PROGRESS",
            "DELETE_IN_PROGRESS",
        }:
            break
        if status.endswith("_FAILED"):
            reason = event.get("ResourceStatusReason", "no reason given")
            found.insert(0, f"{event['LogicalResourceId']}: {reason}")
    return found


def _stack(found: dict[str, Any]) -> Stack:
    return Stack(
        id=found["StackId"],
        name=found["StackName"],
        status=found["StackStatus"],
        tags={tag["Key"]: tag["Value"] for tag in found.get("Tags", [])},
        parameters={
            each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])
        },
        outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
        protected=bool(found.get("EnableTerminationProtection")),
    )
