"""What each command does, and what it prints."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any, Final

from stacks import change_sets, cloud, removal
from stacks.change_sets import ChangeSet
from stacks.cloud import Stack, translated
from stacks.environments import FOLDER, Environment
from stacks.errors import StackError, WrongUse
from stacks.template import Template

TEMPLATE: Final = FOLDER / "stack.yaml"
_POLICY: Final = FOLDER / "stack-policy.json"
# What deploy/.env calls an output, and what it has to say beside it for AWS.
_ENV_NAMES: Final = {
    "Region": "AWS_REGION",
    "DbHost": "MSSQL_HOST",
    "DbPort": "MSSQL_PORT",
    "BucketName": "S3_BUCKET",
    "GlueDatabaseName": "STROKE_LAKE_NAMESPACE",
}
_ENV_ALWAYS: Final = {
    "COMPOSE_PROFILES": "",
    "STROKE_LAKE_CATALOG": "glue",
    "STROKE_LAKE_ENDPOINT": "",
    "STROKE_LAKE_PATH_STYLE": "false",
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "STROKE_SINK_JDBC_URL": "",
    "STROKE_SINK_URL": "",
}


def plan(options: argparse.Namespace) -> None:
    """Make a change set and show it, or (dry run) only check the parameters."""
    environment = Environment.read(options.environment)
    template = Template.read(options.template)
    wanted = environment.parameters | _given(options.parameter) | {"Environment": environment.name}
    parameters = template.complete(wanted)  # before anything is asked
    if options.dry_run:
        print("\n".join(f"{name}={value}" for name, value in parameters.items()))
        return
    client = cloud.open_client(options.region)
    stack = cloud.find(client, options.stack_name)
    if stack is not None:  # what nobody names stays as it is
        kept = {name: stack.parameters[name] for name in parameters if name in stack.parameters}
        parameters = template.complete(kept | wanted)
    if not parameters["PinnedImageId"]:
        parameters["PinnedImageId"] = cloud.image_id(options.region, parameters["ImageId"])
    now = datetime.now(UTC)
    expires = options.expires or (stack.tags.get("ExpiresAt") if stack else None)
    tags = {
        "Project": "stroke",
        "Stack": options.stack_name,
        "Environment": environment.name,
        "ExpiresAt": expires or environment.expires(now.date()),
    }
    change_set = change_sets.plan(
        client,
        options.stack_name,
        body=template.body,
        parameters=parameters,
        tags=tags,
        now=now,
    )
    _show(change_set)
    if not change_set.is_empty:
        given = f"--environment {environment.name} --stack-name {options.stack_name}"
        print(f"to apply: deploy.sh apply {given} --change-set {change_set.name}")


def apply(options: argparse.Namespace) -> None:
    """Execute what was planned, after a question, and protect the stack."""
    client = cloud.open_client(options.region)
    change_set = change_sets.planned(client, options.stack_name, options.change_set)
    _show(change_set)
    if options.dry_run:
        return
    if change_set.is_empty:
        change_sets.drop(client, change_set)
        return
    if not options.yes:
        _confirm(f"Apply {change_set.name} to {options.stack_name}? [y/N] ", {"y", "yes"})
    if not change_set.stack.is_empty:
        _protect(client, options)  # before: the policy is what guards this very update
    stack = change_sets.execute(client, change_set)
    _protect(client, options)
    print(f"{stack.name} is {stack.status}")


def _protect(client: Any, options: argparse.Namespace) -> None:
    with translated():
        client.set_stack_policy(StackName=options.stack_name, StackPolicyBody=_POLICY.read_text())
        if Environment.read(options.environment).is_production:
            client.update_termination_protection(
                StackName=options.stack_name, EnableTerminationProtection=True
            )


def destroy(options: argparse.Namespace) -> None:
    """Tell what the stack keeps, ask, and remove it."""
    client = cloud.open_client(options.region)
    stack = cloud.find(client, options.stack_name)
    if stack is None:
        print(f"there is no stack {options.stack_name}")
        return
    _tell_kept(client, stack)
    if options.dry_run:
        return
    if not options.yes:
        _confirm(f"Type the name of the stack to remove it ({stack.name}): ", {stack.name})
    removal.remove(client, stack)
    print(f"{stack.name} is removed")


def outputs(options: argparse.Namespace) -> None:
    """Print what the stack made."""
    outputs = cloud.get(cloud.open_client(options.region), options.stack_name).outputs
    if not outputs:
        raise StackError(f"{options.stack_name} has no outputs: run deploy.sh apply first")
    if options.json:
        print(json.dumps(outputs, indent=2, sort_keys=True))
    elif options.env:
        lines = _ENV_ALWAYS | {env: outputs[name] for name, env in _ENV_NAMES.items()}
        print("\n".join(f"{name}={value}" for name, value in sorted(lines.items())))
    else:
        width = max(map(len, outputs))
        print("\n".join(f"{name:{width}}  {value}" for name, value in sorted(outputs.items())))


def clean_up(options: argparse.Namespace) -> None:
    """List the stacks whose time is over; remove them if asked to."""
    client = cloud.open_client(options.region)
    over = removal.expired(cloud.every(client), datetime.now(UTC).date())
    if not over:
        print("no stack has expired")
    for stack in over:
        print(f"{stack.name} expired on {stack.tags['ExpiresAt']}")
        _tell_kept(client, stack)
        if options.delete:
            removal.remove(client, stack)
            print(f"{stack.name} is removed")


def _show(change_set: ChangeSet) -> None:
    name = change_set.stack.name
    if change_set.is_empty:
        print(f"{name}: nothing to change")
        return
    print(f"{name}: {change_set.name}")
    for change in sorted(change_set.changes, key=lambda each: (each.action, each.kind, each.name)):
        replaced = f"  replacement: {change.replacement}" if change.replacement else ""
        print(f"  {change.action:8}{change.kind:40}{change.name}{replaced}")
    print(f"{len(change_set.changes)} resources change")


def _tell_kept(client: Any, stack: Stack) -> None:
    if stack.is_empty:
        print(f"{stack.name} was only planned")
        return
    print(f"{stack.name} is {stack.status}. What stays when it is removed, and costs:")
    for what, how in removal.kept(client, stack).items():
        print(f"  {what}: {'as a last snapshot' if how == 'Snapshot' else 'as it is'}")


def _confirm(question: str, wanted: set[str]) -> None:
    if not sys.stdin.isatty():
        raise WrongUse("nobody can be asked here: give --yes")
    if input(question).strip() not in wanted:
        raise StackError("not confirmed: nothing was changed")


def _given(pairs: list[str]) -> dict[str, str]:
    given = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise WrongUse(f"--parameter {pair}: write NAME=VALUE")
        given[name] = value
    return given
