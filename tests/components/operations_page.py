"""The commands of docs/operations.md, and whether each of them exists with its options."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from typing import Any

import click
import typer

from components.containers import ROOT
from components.readme import commands
from stroke.entrypoints.cli.main import app

PAGE = (ROOT / "docs" / "operations.md").read_text()

_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_COMMAND = re.compile(r"(make|stroke) \S|deploy/\S+\.sh\b|sudo stroke-")
_COMPOSE = {
    "up",
    "down",
    "ps",
    "stop",
    "start",
    "restart",
    "logs",
    "images",
    "key",
    "doctor",
    "pin",
    "mysql",
}
_FOREIGN = {"git", "df", "docker", "curl"}
_ON_A_HOST = {
    "stroke-release": "deploy/host/release.sh",
    "stroke-mysql-backup": "deploy/backup/mysql-backup.sh",
    "stroke-mysql-restore": "deploy/backup/mysql-restore.sh",
}


def written(text: str) -> list[str]:
    """Return each command of a page: the lines of its ``sh`` blocks, and those amid its text."""
    lines = [line for block in commands(text) for line in block.text.splitlines() if line.strip()]
    return lines + inline(text)


def inline(text: str) -> list[str]:
    """Return the commands between backticks."""
    found = [" ".join(span.split()) for span in _INLINE.findall(_BLOCK.sub("", text))]
    return [span for span in found if _COMMAND.match(span)]


def anchors(text: str) -> set[str]:
    """Return what links into a page may name."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}


def objection(command: str) -> str | None:
    """Return why a command, or one of a pipe, cannot be run as it is written, or None."""
    parts: list[list[str]] = [[]]
    words = iter(shlex.split(command, comments=True))
    for word in words:
        if word == "|":
            parts.append([])
        elif word == "<":
            next(words)
        else:
            parts[-1].append(word)
    return next(filter(None, map(_objection_to, parts)), None)


def _objection_to(words: list[str]) -> str | None:
    if words[0] == "ssh":
        words = words[2:]
    if words[0] == "sudo":
        words = words[1:]
    name, *rest = words
    if name in _FOREIGN:
        return None
    if name == "make":
        return None if rest[0] in _targets() else f"there is no target {rest[0]}"
    if name == "stroke":
        return _of_stroke(rest)
    if name == "deploy/stack.sh":
        return _of_stack(rest)
    if name in _ON_A_HOST and rest[:1] == ["compose"]:
        return _of_stack(rest[1:])
    return _of_script(_ON_A_HOST.get(name, name), rest)


def _of_stack(words: list[str]) -> str | None:
    verb, *rest = words or ["ps"]
    if verb not in {"exec", "run"}:
        return None if verb in _COMPOSE else f"stack.sh has no {verb}"
    service, *inside = [word for word in rest if word not in {"-T", "--rm", "--no-deps"}]
    if service not in _services():
        return f"there is no service {service}"
    if verb == "run":
        return _of_stroke(inside)
    return _of_stroke(inside[1:]) if inside[0] == "stroke" else None


def _of_stroke(words: list[str]) -> str | None:
    """Parse as the command line does, and run nothing."""
    command: Any = typer.main.get_command(app)
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        default = getattr(command, "default", None)
        if default is not None and (not words or words[0] not in command.commands):
            words = [default, *words]
        name, *words = words or [""]
        if name not in command.commands:
            return f"stroke has no command {name!r}"
        command = command.commands[name]
    try:
        command.make_context("stroke", words)
    except Exception as error:  # noqa: BLE001 -- Typer has a copy of Click's errors
        return f"{error}"
    return None


def _of_script(path: str, words: list[str]) -> str | None:
    if not (ROOT / path).is_file():
        return f"there is no {path}"
    documented = _help(path)
    unknown = [word for word in words if word.startswith("--") and word not in documented]
    if path == "deploy/host/release.sh" and words[0] not in documented:
        unknown.append(words[0])
    return f"{path} --help does not tell of {', '.join(unknown)}" if unknown else None


@cache
def _help(path: str) -> str:
    return subprocess.run(
        [ROOT / path, "--help"], capture_output=True, text=True, check=True
    ).stdout


@cache
def _targets() -> set[str]:
    found = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    return set(found[1].split())


@cache
def _services() -> set[str]:
    services = (ROOT / "deploy" / "compose.yaml").read_text().partition("\nservices:\n")[2]
    return set(re.findall(r"^  ([a-z][a-z0-9-]*):$", services, re.MULTILINE))
