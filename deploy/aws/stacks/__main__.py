"""The command line of deploy.sh and clean-up.sh."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from stacks import commands
from stacks.environments import NEVER, names
from stacks.errors import StackError, WrongUse


def main() -> int:
    """Run one command; return its exit status."""
    try:
        options = _parser().parse_args()
        if "environment" in options and options.stack_name is None:
            options.stack_name = f"stroke-{options.environment}"
        options.run(options)
    except StackError as error:
        print(f"{_script()}: {error}", file=sys.stderr)
        return 2 if isinstance(error, WrongUse) else 1
    except KeyboardInterrupt:
        print(f"{_script()}: interrupted; what AWS was asked to do goes on", file=sys.stderr)
        return 130
    return 0


def _expiry(text: str) -> str:
    if text != NEVER:
        date.fromisoformat(text)
    return text


_expiry.__name__ = "date (YYYY-MM-DD or never)"  # argparse tells it


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WrongUse(f"{message} (see --help)")


def _script() -> str:
    return "clean-up.sh" if sys.argv[1:2] == ["clean-up"] else "deploy.sh"


def _parser() -> _Parser:
    parser = _Parser(prog="deploy.sh", add_help=False)
    parsers = parser.add_subparsers(dest="command", required=True)
    plan = _command(parsers, "plan", commands.plan)
    plan.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    plan.add_argument("--expires", type=_expiry)
    plan.add_argument("--template", type=_file, default=commands.TEMPLATE)
    apply = _command(parsers, "apply", commands.apply)
    apply.add_argument("--change-set")
    _command(parsers, "destroy", commands.destroy)
    form = _command(parsers, "outputs", commands.outputs).add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--env", action="store_true")
    clean_up = parsers.add_parser("clean-up", add_help=False)
    clean_up.set_defaults(run=commands.clean_up)
    clean_up.add_argument("--region", default=_region())
    action = clean_up.add_mutually_exclusive_group()
    action.add_argument("--dry-run", action="store_true")
    action.add_argument("--delete", action="store_true")
    return parser


def _command(parsers: Any, name: str, run: Callable[[argparse.Namespace], None]) -> _Parser:
    parser: _Parser = parsers.add_parser(name, add_help=False)
    parser.set_defaults(run=run)
    parser.add_argument("--environment", choices=names(), required=True)
    parser.add_argument("--stack-name", type=_stack_name)
    parser.add_argument("--region", default=_region())
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--yes", action="store_true")
    return parser


def _stack_name(text: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,127}", text) is None:
        raise ValueError
    return text


_stack_name.__name__ = "stack name (letters, digits and -)"


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError
    return path


_file.__name__ = "file"


def _region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


if __name__ == "__main__":
    sys.exit(main())
