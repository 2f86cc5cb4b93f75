"""Peers of record systems (deploy/images/fhir-test): HAPI's server, client and validator."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import urllib3

from components.containers import LABELS, build_image, free_port
from components.processes import wait_for

_STARTS_WITHIN: Final = 400.0
_WITHIN: Final = 600.0


def labelled() -> list[str]:
    """Return what makes a container of a test one that its run removes."""
    return [each for name, value in LABELS.items() for each in ("--label", f"{name}={value}")]


class Remark(NamedTuple):
    """What the validator says of the resource with this number."""

    number: int
    severity: str
    place: str
    kind: str
    message: str


def judged(resources: Sequence[Mapping[str, Any]]) -> list[Remark]:
    """Return what HAPI's validator of FHIR R4 says of resources: one JVM for all of them."""
    lines = "".join(f"{json.dumps(each)}\n" for each in resources)
    *said, end = _program("Judge", lines, network="none")
    assert end == {"judged": len(resources)}, end
    return [
        Remark(each["line"], each["severity"], each["place"], each["id"] or "", each["message"])
        for each in said
    ]


def java_clients(url: str, request: Any, bundle: Any) -> dict[str, dict[str, Any]]:
    """Return what Java's usual clients got from the service at ``url``, by client."""
    given = json.dumps({"request": request, "bundle": bundle})
    return {each.pop("client"): each for each in _program("Callers", given, url, network="host")}


def clinician(patients: Iterable[str], **given: Any) -> list[dict[str, Any]]:
    """Return what HAPI's client of CDS Hooks saw of each patient: see Clinician.java."""
    given = {"patients": list(patients), "prefetch": True, **given}
    return _program("Clinician", json.dumps(given), network="host")


def _program(name: str, given: str, *arguments: str, network: str) -> list[Any]:
    image = build_image("fhir-test")
    command = ["docker", "run", "-i", "--rm", "--network", network, *labelled(), image, name]
    done = subprocess.run(
        [*command, *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=_WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


class RecordPeer:
    """A hospital's record within ``with``: HAPI's JPA server, its data in memory."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/fhir"
        self._name = f"stroke-test-record-{secrets.token_hex(4)}"
        self._port = str(port)
        self._http = urllib3.PoolManager(retries=False, timeout=60)

    def __enter__(self) -> Self:
        program = (build_image("fhir-test"), "RecordServer", self._port)
        _docker("run", "-d", "--network", "host", "--name", self._name, *labelled(), *program)
        try:
            wait_for(f"{self.url}/metadata", within=_STARTS_WITHIN)
        except BaseException as error:
            error.add_note(_docker("logs", "--tail", "40", self._name))
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _docker("rm", "-f", self._name)

    def put(self, *resources: Mapping[str, Any]) -> None:
        """Store resources under their own ids."""
        entries = [
            {
                "resource": each,
                "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"},
            }
            for each in resources
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = self._http.request("POST", self.url, json=bundle)
        assert answer.status == 200, answer.data.decode()

    def get(self, target: str) -> Any:
        """Return what is answered at a place below the base."""
        answer = self._http.request("GET", f"{self.url}/{target}")
        assert answer.status == 200, answer.data.decode()
        return answer.json()


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
