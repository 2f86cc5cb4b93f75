"""What `stroke model agreement` prints."""

from __future__ import annotations

import json

import pytest

from stroke.application.models.agreement import Agreement
from stroke.domain.shadow import ShadowPair
from stroke.entrypoints.cli.terminal.agreement_text import print_agreements

PAIR = ShadowPair(1, "base-1", 0.1, "Medium", 0.25, "High", None, "Male", 85.0, "smokes")


def found() -> Agreement:
    agreement = Agreement("shadow-1", least=20)
    agreement.take([PAIR] * 20 + [PAIR._replace(gender="Other", shadow=0.1)])
    agreement.take([PAIR._replace(shadow=None, why_not="lacking")] * 3)
    return agreement


def test_a_person_reads_who_agrees_how_far(capsys: pytest.CaptureFixture[str]) -> None:
    print_agreements([found().report()], as_json=False)

    said = capsys.readouterr().out.splitlines()
    assert said[:4] == [
        "shadow shadow-1: asked about 24 predictions",
        "  21 compared with what base-1 answered",
        "  3 not comparable: lack what the shadow needs",
        "everybody: 21 predictions",
    ]
    assert "gender Male: 20 predictions" in said
    assert "gender Other: 1, too few" in said
    assert "  in another category: 100.00% (84.54% to 100.00%)" in said
    assert "  difference of the probability: mean +0.1429 (+0.1292, +0.1565)" in said


def test_a_script_reads_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    report = found().report()
    print_agreements([report], as_json=True)

    assert json.loads(capsys.readouterr().out) == json.loads(
        json.dumps({"items": [report.as_dict()]})
    )


def test_without_a_shadow_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    print_agreements([], as_json=False)
    assert "`stroke model shadow NAME`" in capsys.readouterr().out
