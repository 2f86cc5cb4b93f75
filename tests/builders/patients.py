"""Any valid patient, and one as a form of the page has it."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from stroke.domain.patient import GENDERS, SMOKING_STATUSES, Patient

TEXTS: Final = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=50)
PATIENTS: Final = st.builds(
    Patient,
    gender=st.sampled_from(GENDERS),
    age=st.floats(0, 120),
    hypertension=st.integers(0, 1),
    heart_disease=st.integers(0, 1),
    avg_glucose_level=st.floats(20, 600),
    bmi=st.floats(8, 100),
    smoking_status=st.sampled_from(SMOKING_STATUSES),
    name=TEXTS,
    country=TEXTS,
    province=TEXTS,
)
TYPED: Final = {
    "age": "67",
    "gender": "Male",
    "hypertension": "0",
    "heart_disease": "1",
    "avg_glucose_level": "228.69",
    "bmi": "36.6",
    "smoking_status": "formerly smoked",
}
"""What somebody typed into the form's fields."""
