"""Which port is held to which suite, and by whom: read from the code, of which nothing is imported.

A *port* is a ``Protocol`` in ``stroke.application``. Its *suite* is the class ``<Port>Contract`` of
this package, its *fake* the one class of ``fakes`` that inherits it, its *adapters* the classes of
``stroke`` that inherit it. A test class *runs* a suite for an implementation when it inherits the
suite, and the fixtures that the suite asks for lead to the implementation's name.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_APPLICATION: Final = "stroke.application."
_PROTOCOL: Final = "typing.Protocol"
_TESTS: Final = ("unit.", "integration.", "spark.")
# One method of a common name, like ``names``, makes no port.
_METHODS_OF_A_TWIN: Final = 2

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """What a file defines, and the full names of what it imports."""

    name: str
    classes: Mapping[str, ast.ClassDef]
    functions: Mapping[str, Function]
    imported: Mapping[str, str]

    @classmethod
    def of(cls, name: str, text: str) -> Module:
        body = ast.parse(text).body
        imported: dict[str, str] = {}
        for node in _statements(body):
            if isinstance(node, ast.ImportFrom):
                imported |= {x.asname or x.name: f"{node.module}.{x.name}" for x in node.names}
            elif isinstance(node, ast.Import):
                imported |= {x.asname or x.name: x.name for x in node.names}
        return cls(
            name,
            {node.name: node for node in body if isinstance(node, ast.ClassDef)},
            {node.name: node for node in body if isinstance(node, Function)},
            imported,
        )


@dataclass
class Code:
    """Modules by their full names."""

    modules: Mapping[str, Module]
    _bases: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Mapping[str, str]) -> Code:
        """Read texts by the names of their modules."""
        return cls({name: Module.of(name, text) for name, text in files.items()})

    @classmethod
    def under(cls, *folders: tuple[Path, str]) -> Code:
        """Read the files of folders. With each comes the prefix of its modules' names."""
        return cls.of(
            {
                prefix + ".".join(path.relative_to(folder).with_suffix("").parts): path.read_text(
                    "utf-8"
                )
                for folder, prefix in folders
                for path in sorted(folder.rglob("*.py"))
            }
        )

    def classes(self, *prefixes: str) -> Iterator[str]:
        """Give the full names of the classes in modules whose names begin so."""
        for module in self.modules.values():
            if module.name.startswith(prefixes):
                yield from (f"{module.name}.{name}" for name in module.classes)

    def node(self, name: str) -> ast.ClassDef:
        module, _, found = name.rpartition(".")
        return self.modules[module].classes[found]

    def full_name(self, module: Module, name: str) -> str:
        """Return what a name, perhaps a dotted one, of a module stands for."""
        if name in module.classes:
            return f"{module.name}.{name}"
        first, _, rest = name.partition(".")
        if first not in module.imported:
            return name
        meant = self._followed(module.imported[first])
        return self._followed(f"{meant}.{rest}") if rest else meant

    def _followed(self, full: str) -> str:
        """Return where a full name comes from, should its module have imported it."""
        where, _, last = full.rpartition(".")
        there = None if full in self.modules else self.modules.get(where)
        return full if there is None else self.full_name(there, last)

    def bases(self, name: str) -> frozenset[str]:
        """Return the full names of all that a class inherits, from far as well."""
        if name not in self._bases:
            where, _, last = name.rpartition(".")
            module = self.modules.get(where)
            if module is None or last not in module.classes:
                return frozenset()
            direct = {
                self.full_name(module, ast.unparse(_without_parameters(base)))
                for base in module.classes[last].bases
            }
            self._bases[name] = frozenset(direct).union(*map(self.bases, direct))
        return self._bases[name]

    def is_protocol(self, name: str) -> bool:
        where, _, _ = name.rpartition(".")
        return any(
            self.full_name(self.modules[where], ast.unparse(_without_parameters(base))) == _PROTOCOL
            for base in self.node(name).bases
        )


def faults(code: Code, *, pending: Collection[str]) -> list[str]:
    """Return a sentence for each port that is not held to its suite as it should be.

    Of the ports in ``pending`` nothing is asked but that they exist, and lack something.
    """
    ports: dict[str, str] = {}
    found: list[str] = []
    for name in code.classes(_APPLICATION):
        if code.is_protocol(name):
            port = _last(name)
            if port in ports:
                found.append(f"two ports are called {port}: {ports[port]} and {name}")
            ports[port] = name
    for port, name in ports.items():
        wrong = list(_faults_of(code, port, name))
        if port not in pending:
            found += wrong
        elif not wrong:
            found.append(f"{port} lacks nothing any more: take it off the pending ports")
    gone = sorted(set(pending) - ports.keys())
    return found + [f"{port} is no port any more: take it off the pending ones" for port in gone]


def _faults_of(code: Code, port: str, name: str) -> Iterator[str]:
    suites = [each for each in code.classes("contracts.") if _last(each) == f"{port}Contract"]
    if len(suites) != 1 or not list(_tests_of(code, suites[0])):
        yield f"{port} has no suite: tests/contracts needs one class {port}Contract with tests"
    fakes = [each for each in _implementations(code, name, "") if not each.startswith("stroke.")]
    of_its_own = [each for each in fakes if not code.bases(each) & {*fakes}]
    if len(of_its_own) != 1 or not of_its_own[0].startswith("fakes."):
        listed = ", ".join(of_its_own) or "none"
        yield f"{port} needs one fake, in tests/fakes, that inherits it: there is {listed}"
    yield from (f"{each} has the methods of {port}: inherit it" for each in _twins(code, name))
    adapters = list(_implementations(code, name, "stroke."))
    if not adapters:
        yield f"no class of src inherits {port}: adapters inherit their ports"
    if len(suites) == 1:
        runs = list(_runs(code, suites[0]))
        for each in [*of_its_own, *adapters]:
            wanted = ("unit.",) if each in of_its_own else _TESTS
            if not any(test.startswith(wanted) and each in reached for test, reached in runs):
                yield f"no test runs {port}Contract for {each}"


def _implementations(code: Code, port: str, prefix: str) -> Iterator[str]:
    for each in code.classes(prefix):
        if port in code.bases(each) and not code.is_protocol(each):
            yield each


def _twins(code: Code, port: str) -> Iterator[str]:
    wanted = _signatures(code.node(port))
    if len(wanted) < _METHODS_OF_A_TWIN:
        return
    for each in code.classes("stroke."):
        inherits = port == each or port in code.bases(each)
        if not inherits and wanted.items() <= _signatures(code.node(each)).items():
            yield each


def _signatures(node: ast.ClassDef) -> dict[str, tuple[type, list[str]]]:
    return {
        each.name: (type(each), [x.arg for x in (*each.args.args, *each.args.kwonlyargs)])
        for each in _methods(node)
        if not each.name.startswith("_")
    }


def _runs(code: Code, suite: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Give each test class that inherits a suite, with the names that its fixtures lead to."""
    asked = {x.arg for test in _tests_of(code, suite) for x in test.args.args} - {"self"}
    for each in code.classes(*_TESTS):
        if _last(each).startswith("Test") and suite in code.bases(each):
            yield each, _Reading(code, each).reached(asked)


def _tests_of(code: Code, suite: str) -> Iterator[Function]:
    return (each for each in _methods(code.node(suite)) if each.name.startswith("test_"))


class _Reading:
    """Follows names from the fixtures of one test class through its module and the conftests."""

    def __init__(self, code: Code, test: str) -> None:
        self._code = code
        self._test = test
        own = test.rpartition(".")[0]
        folders = own.split(".")[:-1]
        around = [".".join([*folders[:depth], "conftest"]) for depth in range(len(folders), -1, -1)]
        self._modules = [code.modules[each] for each in (own, *around) if each in code.modules]
        self._seen: set[int] = set()
        self._found: set[str] = set()

    def reached(self, names: Iterable[str]) -> frozenset[str]:
        for name in names:
            self._follow(self._modules[0], name)
        return frozenset(self._found)

    def _follow(self, module: Module, name: str) -> None:
        if name in module.imported:
            self._found.add(self._code.full_name(module, name))
            return
        own = {each.name: each for each in _methods(self._code.node(self._test))}
        of_class = own.get(name) if module is self._modules[0] else None
        known = of_class or module.functions.get(name) or module.classes.get(name)
        if known is None:
            for other in self._modules:
                if name in other.functions:
                    module, known = other, other.functions[name]
                    break
        if known is None or id(known) in self._seen:
            return
        self._seen.add(id(known))
        for each in _names(known):
            self._follow(module, each)


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Give statements and those within them, no expressions: to walk those takes thrice as long."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, part, ()))


def _names(node: ast.AST) -> Iterator[str]:
    """Give what a function or class names: its arguments too, and what it writes as a text."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.arg):
            yield each.arg
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def _methods(node: ast.ClassDef) -> Iterator[Function]:
    return (each for each in node.body if isinstance(each, Function))


def _without_parameters(base: ast.expr) -> ast.expr:
    return base.value if isinstance(base, ast.Subscript) else base


def _last(name: str) -> str:
    return name.rpartition(".")[2]
