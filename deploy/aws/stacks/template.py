"""The template, its parameters, and what it keeps: read before AWS is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from stacks.errors import WrongUse

_KEEPS: Final = ("Retain", "Snapshot")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads the short forms of CloudFormation's functions as their long ones."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


_Loader.add_multi_constructor("!", _function)


class Template:
    """A CloudFormation template as text (``body``) and as data (``content``)."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.content: dict[str, Any] = yaml.load(body, Loader=_Loader)  # noqa: S506 -- a SafeLoader

    @classmethod
    def read(cls, path: Path) -> Template:
        """Return the template of a file."""
        return cls(path.read_text())

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """What the template says of each parameter."""
        return dict(self.content.get("Parameters", {}))

    def complete(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return a value for every parameter, defaults included.

        Raises ``WrongUse`` for an unknown name, a missing value, or one that the template refuses.
        """
        if unknown := sorted(set(given) - set(self.parameters)):
            raise WrongUse(
                f"no parameter is called {', '.join(unknown)}: deploy/aws/README.md lists all"
            )
        values = {}
        for name, rule in self.parameters.items():
            value = given.get(name, rule.get("Default"))
            if value is None:
                raise WrongUse(f"{name} has no value: give --parameter {name}=VALUE")
            values[name] = str(value)
            _check(name, values[name], rule)
        return values

    def kept(self) -> dict[str, str]:
        """Return what outlives the stack: logical names, and how (Retain or Snapshot)."""
        return {
            name: resource["DeletionPolicy"]
            for name, resource in self.content["Resources"].items()
            if resource.get("DeletionPolicy") in _KEEPS
        }


def _check(name: str, value: str, rule: Mapping[str, Any]) -> None:
    allowed = [str(each) for each in rule.get("AllowedValues", [value])]
    if value not in allowed:
        raise WrongUse(f"{name}: {value} is none of {', '.join(allowed)}")
    if "AllowedPattern" in rule and re.fullmatch(rule["AllowedPattern"], value) is None:
        raise WrongUse(f"{name}: {value} is not {rule['ConstraintDescription']}")
    if rule["Type"] == "Number":
        _check_number(name, value, rule)


def _check_number(name: str, value: str, rule: Mapping[str, Any]) -> None:
    low, high = rule.get("MinValue"), rule.get("MaxValue")
    try:
        number = int(value)
    except ValueError:
        raise WrongUse(f"{name}: {value} is not a whole number") from None
    if (low is not None and number < low) or (high is not None and number > high):
        raise WrongUse(f"{name}: {value} is not from {low} to {high or 'no limit'}")
