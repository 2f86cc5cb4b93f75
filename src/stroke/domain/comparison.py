"""A risk next to that of others: of people of the same age and gender, and of reference values."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

REFERENCE_VALUES: Final[dict[str, Any]] = {
    "hypertension": 0,
    "heart_disease": 0,
    "avg_glucose_level": 90.0,
    "bmi": 25.0,
    "smoking_status": "never smoked",
}
"""The changeable factors of a person in good health, whose age and gender stay as they are.

As QRISK3's healthy person (Hippisley-Cox et al. 2017, BMJ 357:j2099), who has no recorded disease,
never smoked and has a BMI of 25 kg/m². 90 mg/dL lies in the middle of the normal fasting range, 70
to 99 mg/dL (American Diabetes Association, Standards of Care 2024, section 2).
"""

UNCHANGEABLE: Final = ("gender", "age")
"""The features whose values a comparison leaves as they are."""


class Comparison(NamedTuple):
    """The patient's risk beside two others of the same model; each is None where it is not known.

    ``average_risk``: the mean of people of this age and gender in the training data.
    ``relative_to_average``: the patient's risk divided by it. ``reference_risk``: of the same
    person with ``REFERENCE_VALUES``. ``relative_to_reference``: the patient's risk divided by it.
    ``equal_age``: the lowest age in years at which the mean of this gender reaches the patient's
    risk; None where it does so at no age, or at every one.
    """

    average_risk: float | None = None
    relative_to_average: float | None = None
    reference_risk: float | None = None
    relative_to_reference: float | None = None
    equal_age: float | None = None

    def as_data(self) -> dict[str, float | None]:
        """Return what answers and rows hold of it."""
        return {
            "average_risk": self.average_risk,
            "relative_to_average": self.relative_to_average,
            "reference_risk": self.reference_risk,
            "relative_to_reference": self.relative_to_reference,
            "equal_age": self.equal_age,
        }
