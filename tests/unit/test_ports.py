"""Each port has one fake and one suite, and the fake and every adapter pass the suite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

import stroke
from contracts.held import Code, faults

TESTS: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = Path(stroke.__file__).parent
PENDING: Final[tuple[str, ...]] = ()

GOOD: Final = {
    "stroke.application.wing.ports": """
from typing import Protocol
class Store(Protocol):
    async def put(self, row: str) -> None: ...
    async def get(self) -> str: ...
class Held: ...
""",
    "stroke.adapters.disk": """
from stroke.application.wing.ports import Store
class Disk(Store):
    async def put(self, row: str) -> None: ...
    async def get(self) -> str: ...
""",
    "fakes.wing": """
from stroke.application.wing import ports
class FakeStore(ports.Store):
    async def put(self, row: str) -> None: ...
    async def get(self) -> str: ...
""",
    "contracts.wing": """
class StoreContract:
    def test_it_keeps_rows(self, store): ...
""",
    "unit.fakes.test_wing": """
from contracts.wing import StoreContract
from fakes.wing import FakeStore
class TestFakeStore(StoreContract):
    def store(self) -> FakeStore: ...
""",
    "integration.conftest": """
from stroke.adapters.disk import Disk
def disk(): return Disk()
""",
    "integration.test_disk": """
from contracts.wing import StoreContract
def launched(request): return request.getfixturevalue("disk")
class Stage:
    def store(self): return launched()
class TestDisk(StoreContract):
    def store(self): return Stage()
""",
}
DISK: Final = "stroke.adapters.disk.Disk"
FAKE: Final = "fakes.wing.FakeStore"


def of(changes: Mapping[str, str | tuple[str, str]], *, pending: tuple[str, ...] = ()) -> list[str]:
    """Return the faults of ``GOOD`` with other files, or with other words in them."""
    files = dict(GOOD)
    for name, change in changes.items():
        if isinstance(change, str):
            files[name] = change
        else:
            assert change[0] in files[name]
            files[name] = files[name].replace(*change)
    return faults(Code.of(files), pending=pending)


def test_each_port_of_the_application_is_held_to_a_suite_by_its_fake_and_by_every_adapter() -> None:
    code = Code.under((SOURCE, "stroke."), (TESTS, ""))

    assert faults(code, pending=PENDING) == []


def test_a_port_with_a_suite_that_all_pass_has_no_fault() -> None:
    assert of({}) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"contracts.wing": ""}, "Store has no suite"),
        ({"contracts.wing": ("test_it", "it")}, "Store has no suite"),
        ({"contracts.wing": ("StoreContract", "DepotContract")}, "Store has no suite"),
        ({"contracts.other": "class StoreContract:\n def test_it(self, store): ..."}, "no suite"),
        ({"fakes.wing": ("(ports.Store)", "")}, "there is none"),
        (
            {"fakes.second": "from fakes.wing import ports\nclass Second(ports.Store): ..."},
            "Second",
        ),
        (
            {
                "integration.test_other": "from stroke.application.wing.ports import Store\n"
                "class Stub(Store): ..."
            },
            "there is fakes.wing.FakeStore, integration.test_other.Stub",
        ),
        ({"stroke.adapters.disk": ("(Store)", "")}, f"{DISK} has the methods of Store"),
        ({"stroke.adapters.disk": ""}, "no class of src inherits Store"),
        ({"integration.test_disk": ""}, f"no test runs StoreContract for {DISK}"),
        ({"integration.test_disk": ("(StoreContract)", "")}, f"runs StoreContract for {DISK}"),
        ({"integration.test_disk": ("class TestDisk", "class Disk")}, f"StoreContract for {DISK}"),
        ({"integration.test_disk": ('"disk"', '"tape"')}, f"no test runs StoreContract for {DISK}"),
        ({"integration.test_disk": ("return Stage()", "...")}, f"runs StoreContract for {DISK}"),
        ({"unit.fakes.test_wing": ("-> FakeStore", "")}, f"no test runs StoreContract for {FAKE}"),
        ({"unit.fakes.test_wing": ("def store", "def other")}, f"runs StoreContract for {FAKE}"),
        (
            {
                "stroke.adapters.tape": "from stroke.adapters.disk import Disk\n"
                "class Tape(Disk): ..."
            },
            "no test runs StoreContract for stroke.adapters.tape.Tape",
        ),
        (
            {"stroke.application.other": "import typing\nclass Store(typing.Protocol): ..."},
            "two ports are called Store",
        ),
        (
            {"stroke.application.other": "import typing as t\nclass New(t.Protocol[int]): ..."},
            "New has no suite",
        ),
    ],
)
def test_what_is_missing_is_a_fault(
    changes: Mapping[str, str | tuple[str, str]], fault: str
) -> None:
    assert any(fault in each for each in of(changes))


def test_the_fake_may_be_varied_by_a_test() -> None:
    variation = "from fakes.wing import FakeStore\nclass Slow(FakeStore): ..."

    assert of({"unit.test_slow": variation}) == []


def test_a_protocol_for_types_alone_is_no_stand_in() -> None:
    both = (
        "from typing import Protocol\nfrom stroke.application.wing.ports import Store\n"
        "class Both(Store, Protocol): ..."
    )

    assert of({"contracts.both": both}) == []


def test_a_pending_port_is_left_alone_until_it_lacks_nothing() -> None:
    assert of({"contracts.wing": ""}, pending=("Store",)) == []
    assert "take it off" in "".join(of({}, pending=("Store",)))
    assert "Depot is no port" in "".join(of({}, pending=("Depot",)))
