"""What one process serves: a champion, perhaps a challenger, and shadows, always as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, NamedTuple

from stroke.application.predictions.ports import RiskModel
from stroke.domain.patient import Patient
from stroke.domain.prediction import Origin

_WHOLE: Final = 2**64


class ModelRun(NamedTuple):
    """A run of the model ``version``: how long it took, whether it failed, and why."""

    version: str
    seconds: float
    failed: bool
    error: Exception | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Deployed:
    """The models that are served from one change to the next; it never changes itself.

    A request takes one of these at its start and asks nothing else, so that its answer is of one
    model. Whoever has the last one lets the models go. ``number`` is that of the deployment.
    """

    champion: RiskModel
    challenger: RiskModel | None = None
    share: float = 0
    shadows: tuple[RiskModel, ...] = ()
    number: int = 0
    may_be_missing: tuple[str, ...] = field(init=False)
    """What patients may lack, as the champion has it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "may_be_missing", self.champion.description.may_be_missing)

    def model_for(self, patient: Patient, origin: Origin, subject: str | None = None) -> RiskModel:
        """Return the model that answers for a patient: always the same one in this deployment.

        Which one depends on the ``subject``, what the caller's records call the patient; without
        one on site, name, country, province and gender, which stay when measurements change.
        Nothing of them is kept. A patient who lacks what the challenger needs gets the champion.
        """
        challenger = self.challenger
        if challenger is None:
            return self.champion
        described = challenger.description
        if not described.takes(patient):
            return self.champion
        who: tuple[str | None, ...] = (origin.site, subject)
        if subject is None:
            who = (origin.site, patient.name, patient.country, patient.province, patient.gender)
        # With the version, so that the next canary meets other patients.
        text = repr((described.version, *who)).encode("utf-8", "surrogatepass")
        place = int.from_bytes(blake2b(text, digest_size=8).digest())
        return challenger if place < self.share * _WHOLE else self.champion


def summary(deployed: Deployed) -> str:
    """Return in one line which models are served."""
    parts = [f"deployment {deployed.number}: {deployed.champion.description.version} is served"]
    if deployed.challenger is not None:
        parts.append(f"{deployed.challenger.description.version} to {deployed.share:.3%}")
    parts += [f"{each.description.version} as a shadow" for each in deployed.shadows]
    return ", ".join(parts)


class Serving:
    """Holds what this process serves now. Reading ``now`` is one look, and needs no lock."""

    def __init__(self, champion: RiskModel) -> None:
        self.now = Deployed(champion)

    def swap(self, deployed: Deployed) -> None:
        """Serve something else from the next request on; those that run keep what they have."""
        self.now = deployed
