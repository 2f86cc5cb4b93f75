"""What stops a command, in words for a person."""

from __future__ import annotations


class StackError(Exception):
    """The message is one line that says what to do."""


class WrongUse(StackError):
    """Nothing was asked of AWS: a parameter or an option is wrong."""
