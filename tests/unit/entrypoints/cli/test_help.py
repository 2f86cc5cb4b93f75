"""Every command's --help shows how it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from stroke.entrypoints.cli.main import app


def commands(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Yield each command below ``command``, with the words that call it."""
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from commands(below, *path, name)
    else:
        yield " ".join(path), command


ALL = dict(commands(typer.main.get_command(app), "stroke"))


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_help_of_a_command_shows_an_example_of_it(name: str) -> None:
    text = f"{ALL[name].help}\n{ALL[name].epilog}"

    assert f"{name} " in f"{text}\n".replace("\n", " "), name


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_option_of_a_command_is_explained(name: str) -> None:
    unexplained = [one.name for one in ALL[name].params if not getattr(one, "help", None)]

    assert unexplained == []


def bare(text: str) -> str:
    return "".join(text.replace("\b", "").replace("│", "").split())


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_help_shows_all_that_is_written_for_it(name: str) -> None:
    command = ALL[name]
    # What stands in square brackets would be taken for markup, and left out.
    done = CliRunner().invoke(app, [*name.split()[1:], "--help"], env={"COLUMNS": "400"})

    assert done.exit_code == 0
    shown = bare(done.output)
    for written in (command.help, command.epilog, *(one.help for one in command.params)):
        assert bare(written or "") in shown
    for one in command.params:
        if isinstance(one.show_default, str):
            assert bare(f"[default: ({one.show_default})]") in shown
