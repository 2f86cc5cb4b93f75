from __future__ import annotations

import pytest

from stroke.domain.support import ReasonCode
from stroke.entrypoints.ui.languages import languages
from stroke.entrypoints.ui.supporting import reason


@pytest.mark.parametrize("code", ReasonCode)
def test_each_reason_of_the_domain_has_its_own_sentence(code: ReasonCode) -> None:
    said = reason(code.value, ("bmi", "age"), 5, languages()["en"])
    assert said != reason("a code of tomorrow", (), None, languages()["en"])
    assert "%" not in said
    assert reason(code.value, ("bmi", "age"), 5, languages()["de"]) != said
