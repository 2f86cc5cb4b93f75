"""What the use cases of charts call."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from stroke.domain.clinical.kept import AssessmentFilter, CardTally, Feedback, KeptAssessment

Reason = Literal[
    "not-listed",  # the server is none of the allow-list
    "scope",  # the token does not allow it
    "address",  # the server's address is not public, and not listed
    "away",  # nothing answers
    "refused",  # another status than 200, a redirect say
    "late",  # it takes too long
    "too-long",  # the answer has too many bytes
    "no-json",
]


class AssessmentStore(Protocol):
    """Keeps assessments of charts, and feedback. Each call may raise ``StoreUnavailable``."""

    @abstractmethod
    async def keep(self, assessment: KeptAssessment) -> KeptAssessment:
        """Keep an assessment; return it, or the one that was kept under its id before.

        Raises ``PredictionNotFound`` when its prediction is not stored (any more).
        """

    @abstractmethod
    async def get(self, assessment_id: str, *, site: str | None = None) -> KeptAssessment:
        """Return an assessment. Raises ``AssessmentNotFound`` or ``AssessmentErased``.

        With a ``site``, one of another site is not found, whether it was erased or not.
        """

    @abstractmethod
    async def page(
        self, narrowed: AssessmentFilter, *, limit: int, before: int | None = None
    ) -> list[KeptAssessment]:
        """Return up to ``limit`` assessments, those of the newest predictions first.

        ``before`` continues after the one with that prediction.
        """

    @abstractmethod
    async def count(self, narrowed: AssessmentFilter) -> int:
        """Return how many assessments all pages have."""

    @abstractmethod
    async def put_feedback(
        self, feedback: Sequence[Feedback], *, site: str | None = None
    ) -> dict[str, str]:
        """Keep what became of cards: one for each card, the latest by its own time.

        Feedback on a card that is not known, was erased, or is of another site than ``site`` is
        passed over. Returns the model's version of each card that got one for the first time.
        """

    @abstractmethod
    async def models(self) -> list[str]:
        """Return the versions of all models that assessments were made by, sorted."""

    @abstractmethod
    async def tally(self, narrowed: AssessmentFilter) -> list[CardTally]:
        """Return how many cards that were shown were accepted, overridden or ignored."""


class NotFetched(Exception):
    """Something was not fetched from a record; ``reason`` says why, in a word."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Document(NamedTuple):
    """What a FHIR server answered, as JSON gives it, and its size in bytes."""

    content: Any
    size: int


class RecordServer(Protocol):
    """Reads documents of FHIR servers over HTTP."""

    @abstractmethod
    async def read(self, url: str, token: str, *, most_bytes: int) -> Document:
        """Return the document at ``url``, which is asked for with an access token.

        It may be cancelled at any time. Raises ``NotFetched``: a redirect is not followed, an
        address that is not public has to be listed, and a longer answer is not read to its end.
        """


class ClinicalObserver(Protocol):
    """Receives what became of charts; must neither block nor raise."""

    @abstractmethod
    def answered(self, answer: str, unmapped: Mapping[str, int]) -> None:
        """Receive how a chart was answered, and how many codes of each system were not known."""

    @abstractmethod
    def fetched(self, result: str) -> None:
        """Receive that something was fetched from a record (``fetched``), or why it was not."""

    @abstractmethod
    def judged(self, model_version: str, verdict: str, reason: str | None) -> None:
        """Receive what became of a card for the first time."""
