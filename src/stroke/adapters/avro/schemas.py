"""Schemas of Avro files that can be read in bounded time and memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_DEEPEST: Final = 64
_NAMED: Final = ("record", "error", "enum", "fixed")


class NotAvro(ValueError):
    """What is no Avro file, or one that nothing here can read."""


def check_bounded(schema: Any) -> None:
    """Raise ``NotAvro`` for a schema of values that may be there without end.

    That is a type inside itself (as many levels as bytes, until the stack is full), and an array
    whose items, or a record of the file, take no byte: a few bytes then are as many as a number can
    say. No change event of a table has such a thing.
    """
    _Check().smallest(schema, within=(), depth=0, must_take=True)


class _Check:
    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}

    def smallest(
        self, schema: Any, *, within: tuple[str, ...], depth: int, must_take: bool = False
    ) -> int:
        """Return the fewest bytes that a value may take; ``within`` are the types around it."""
        if depth > _DEEPEST:
            raise NotAvro("a schema that is too deep")
        size = self._smallest(schema, within, depth)
        if must_take and not size:
            raise NotAvro("a schema of values that take no byte")
        return size

    def _smallest(self, schema: Any, within: tuple[str, ...], depth: int) -> int:
        if isinstance(schema, list):
            for each in schema:
                self.smallest(each, within=within, depth=depth + 1)
            return 1
        if isinstance(schema, str):
            return self._size_of_name(schema, within)
        if not isinstance(schema, Mapping):
            raise NotAvro("no schema")
        kind = schema.get("type")
        if kind in _NAMED:
            return self._named(schema, within, depth)
        if kind in ("array", "map"):
            # The key of a map takes a byte.
            items = schema.get("items" if kind == "array" else "values")
            self.smallest(items, within=within, depth=depth + 1, must_take=kind == "array")
            return 1
        return self.smallest(kind, within=within, depth=depth + 1)

    def _size_of_name(self, name: str, within: tuple[str, ...]) -> int:
        bare = name.rpartition(".")[2]
        if bare in within:
            raise NotAvro("a type inside itself")
        return self._sizes.get(bare, int(name != "null"))

    def _named(self, schema: Mapping[str, Any], within: tuple[str, ...], depth: int) -> int:
        # Types of one name in two namespaces count as one: the smaller one.
        name = str(schema.get("name", "")).rpartition(".")[2]
        if schema["type"] == "fixed":
            size = int(schema.get("size", 0))
        elif schema["type"] == "enum":
            size = 1
        else:
            inside = (*within, name)
            size = sum(
                self.smallest(field.get("type"), within=inside, depth=depth + 1)
                for field in schema.get("fields", ())
            )
        self._sizes[name] = min(size, self._sizes.get(name, size))
        return size
