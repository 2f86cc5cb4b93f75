"""PredictionService: predict, find, list and erase."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from time import perf_counter
from typing import Final, NamedTuple, TypeVar

from stroke.application.predictions.deployed import Deployed, ModelRun, Serving
from stroke.application.predictions.group_commit import Around, GroupCommit
from stroke.application.predictions.ports import PredictionObserver, PredictionRepository, RiskModel
from stroke.application.predictions.stored_predictions import (
    StoredPrediction,
    key_within,
    replayed,
    replayed_batch,
    reused,
)
from stroke.domain.errors import (
    IdempotencyKeyTaken,
    InvalidPatient,
    OutsideSupport,
    PredictionNotFound,
    StoreUnavailable,
)
from stroke.domain.further import check_values
from stroke.domain.patient import Patient, lacking
from stroke.domain.prediction import (
    NOBODY,
    Origin,
    Prediction,
    PredictionFilter,
    PredictionRecord,
    StoredBatch,
)
from stroke.domain.risk import (
    ModelDescription,
    RiskAssessment,
)
from stroke.domain.support import Support, SupportLevel
from stroke.domain.what_if import WhatIf

# From this many patients on, scoring leaves the event loop: about 1 ms of it.
_THREAD_FROM: Final = 64


class _Request(NamedTuple):
    """One patient who is to be stored. If ``model`` fails, the champion answers."""

    patient: Patient
    key: str | None
    origin: Origin
    model: RiskModel
    champion: RiskModel


_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, newest first. ``next_before`` is None on the last page."""

    records: list[PredictionRecord]
    next_before: int | None


class PredictionService:
    """Scores patients and answers only for what is durable.

    ``now`` returns the present as an aware datetime in UTC. Single predictions share graph runs
    and commits (``GroupCommit``); at most ``queue_capacity`` of them wait, at most
    ``commit_size`` share a commit. Each commit runs within ``around_commit``. An idempotency key
    is a new one ``key_lifetime`` after its request was stored.

    ``serving`` holds the models. Each call takes what is served at its start, or the ``deployed``
    that its caller took before, and asks no other one. ``ran`` gets each run whose result is
    to be stored, and ``stored`` the predictions of each commit with their ids; both must neither
    block nor raise. A challenger that fails loses no request: its champion answers instead.
    """

    def __init__(
        self,
        *,
        serving: Serving,
        repository: PredictionRepository,
        observer: PredictionObserver,
        now: Callable[[], datetime],
        queue_capacity: int,
        commit_size: int,
        key_lifetime: timedelta,
        around_commit: Around | None = None,
        ran: Callable[[ModelRun], object] | None = None,
        stored: Callable[[Sequence[Prediction], Sequence[int]], object] | None = None,
    ) -> None:
        self._serving = serving
        self._repository = repository
        self._observer = observer
        self._now = now
        self._key_lifetime = key_lifetime
        self._queue: GroupCommit[_Request, StoredPrediction] = GroupCommit(
            self._commit, capacity=queue_capacity, largest=commit_size, around=around_commit
        )
        self._around = around_commit
        self._ran = ran
        self._stored = stored
        # Large batches run one at a time: two would only double the memory.
        self._bulk = asyncio.Lock()

    @property
    def deployed(self) -> Deployed:
        """What is served now."""
        return self._serving.now

    @property
    def model(self) -> ModelDescription:
        """The champion: the model that answers, but for the patients of a canary."""
        return self._serving.now.champion.description

    @property
    def queue_depth(self) -> int:
        """How many predictions wait for the next commit."""
        return self._queue.depth

    async def assess(
        self,
        patients: Sequence[Patient],
        *,
        refuse_outside: bool = False,
        deployed: Deployed | None = None,
    ) -> list[RiskAssessment]:
        """Return one assessment per patient by the champion, in order, and store nothing.

        Raises ``InvalidPatient`` and ``OutsideSupport`` as ``predict`` does.
        """
        model = (deployed or self.deployed).champion
        _check_complete(patients, model)
        assessments = await _assessed(model, patients)
        if refuse_outside:
            _refuse_outside(assessments)
        return assessments

    async def predict(
        self,
        patient: Patient,
        *,
        idempotency_key: str | None = None,
        origin: Origin = NOBODY,
        refuse_outside: bool = False,
        deployed: Deployed | None = None,
        model: RiskModel | None = None,
    ) -> StoredPrediction:
        """Return ``patient``'s risk once it is durable, as a row of ``origin``.

        Without a ``model``, the one that ``deployed`` has for this patient answers.

        With an ``idempotency_key`` the same call again returns the prediction that is already
        stored; keys of two sites are two keys. Raises ``IdempotencyKeyReused`` when the key belongs
        to another request, and ``PredictionNotReplayable`` when the prediction lacks part of its
        answer. Raises ``InvalidPatient`` when the patient lacks a measurement that the model needs,
        ``OutsideSupport`` if ``refuse_outside`` says so, and ``ServiceOverloaded``,
        ``StoreUnavailable`` or ``PredictionRejected`` otherwise; after ``StoreUnavailable`` the
        row may or may not be stored, and only a key makes a retry safe.
        """
        served = deployed or self.deployed
        if model is None:
            model = served.model_for(patient, origin)
        _check_complete([patient], model)
        if idempotency_key is None:
            if refuse_outside:
                _check_supported([patient], model)
            return await self._queue.submit(_Request(patient, None, origin, model, served.champion))
        idempotency_key = key_within(origin.site, idempotency_key)
        request = _Request(patient, idempotency_key, origin, model, served.champion)

        async def store() -> StoredPrediction:
            if refuse_outside:
                _check_supported([patient], request.model)
            return await self._queue.submit(request)

        async def replay(stored: PredictionRecord | StoredBatch) -> StoredPrediction:
            if isinstance(stored, StoredBatch):
                raise reused()
            return replayed(stored, patient)

        return await self._once(idempotency_key, store, replay)

    async def predict_many(
        self,
        patients: Sequence[Patient],
        *,
        idempotency_key: str | None = None,
        origin: Origin = NOBODY,
        refuse_outside: bool = False,
        deployed: Deployed | None = None,
        by_champion: bool = False,
    ) -> list[StoredPrediction]:
        """Return one risk per patient, in order: one transaction, all or none.

        One run of each model that answers: all patients are the champion's if ``by_champion`` says
        so, and otherwise each has the one that ``deployed`` has for it.
        ``idempotency_key`` is one key of all of them, with the errors that ``predict`` has for
        its own. Raises ``InvalidPatient`` and ``OutsideSupport`` as ``predict`` does,
        ``StoreUnavailable`` or ``PredictionRejected`` otherwise, and then nothing is stored.
        """
        served = deployed or self.deployed
        champion = served.champion
        requests = [
            _Request(
                each,
                None,
                origin,
                champion if by_champion else served.model_for(each, origin),
                champion,
            )
            for each in patients
        ]
        _check_complete(patients, served.champion)
        if idempotency_key is None:
            return await self._commit_many(requests, None, refuse_outside=refuse_outside)
        key = key_within(origin.site, idempotency_key)

        async def store() -> list[StoredPrediction]:
            return await self._commit_many(requests, key, refuse_outside=refuse_outside)

        async def replay(stored: PredictionRecord | StoredBatch) -> list[StoredPrediction]:
            if not isinstance(stored, StoredBatch) or len(stored.ids) != len(patients):
                raise reused()
            records = await self._repository.get_many(stored.ids)
            # Comparing ten thousand rows takes a while: other requests are served meanwhile.
            return await asyncio.to_thread(replayed_batch, stored.ids, records, patients)

        return await self._once(key, store, replay)

    def what_if(
        self,
        before: Patient,
        after: Patient,
        *,
        refuse_outside: bool = False,
        deployed: Deployed | None = None,
    ) -> WhatIf:
        """Return what the champion says of one patient with their values and with others.

        Nothing is stored, and nobody observes it. Raises ``InvalidPatient`` and ``OutsideSupport``
        as ``predict`` does.
        """
        model = (deployed or self.deployed).champion
        _check_complete([before, after], model)
        if refuse_outside:
            _check_supported([before, after], model)
        return WhatIf(*model.assess([before, after]))

    async def find(self, prediction_id: int, *, site: str | None = None) -> PredictionRecord:
        """Return a stored prediction, or raise ``PredictionNotFound``.

        With a ``site``, a prediction of another one is not found either.
        """
        found = await self._repository.get(prediction_id)
        if site is not None and found.site != site:
            raise PredictionNotFound(prediction_id)
        return found

    async def find_many(self, prediction_ids: Sequence[int]) -> dict[int, PredictionRecord]:
        """Return those of these predictions that are stored, by id, whatever their site."""
        return await self._repository.get_many(prediction_ids)

    async def page(
        self, narrowed: PredictionFilter, *, limit: int, before: int | None = None
    ) -> Page:
        """Return a page of stored predictions, newest first."""
        records = await self._repository.page(narrowed, limit=limit + 1, before=before)
        more = len(records) > limit
        records = records[:limit]
        return Page(records, records[-1].id if more else None)

    async def count(self, narrowed: PredictionFilter, *, most: int, seconds: float) -> int | None:
        """Return how many predictions there are, at most ``most``.

        None where the store does not say so within ``seconds``: a list is shown without.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._repository.count(narrowed, most=most)
        except (TimeoutError, StoreUnavailable):
            return None

    async def erase(self, prediction_id: int, *, site: str | None = None) -> None:
        """Erase a stored prediction for good, or raise ``PredictionNotFound``.

        With a ``site``, a prediction of another one is not found either. No row changes its site.
        """
        if site is not None:
            await self.find(prediction_id, site=site)
        await self._repository.remove(prediction_id)

    async def check_store(self) -> None:
        """Return if predictions can be stored now; raises what is in the way otherwise."""
        await self._repository.check()

    async def close(self) -> None:
        """Take no more predictions, and return when every one that waits is answered."""
        await self._queue.close()

    async def _once(
        self,
        key: str,
        store: Callable[[], Awaitable[_Answer]],
        replay: Callable[[PredictionRecord | StoredBatch], Awaitable[_Answer]],
    ) -> _Answer:
        """Return what ``store`` does, or ``replay`` of what the key belongs to already."""
        stored = await self._holder(key)
        if stored is None:
            try:
                return await store()
            except IdempotencyKeyTaken:  # by a request that ran at the same time
                stored = await self._holder(key)
                if stored is None:  # ... and was erased since
                    raise
        return await replay(stored)

    async def _holder(self, key: str) -> PredictionRecord | StoredBatch | None:
        """Return what has ``key``; release a key whose time is over.

        Two requests may release the same one: the database then lets only one of them take it.
        """
        stored = await self._repository.find_by_key(key)
        if stored is None:
            return None
        made_at = stored.made_at if isinstance(stored, StoredBatch) else stored.timestamp
        oldest = self._now() - self._key_lifetime
        if made_at is None or made_at >= oldest:
            return stored
        await self._repository.release_key(key, made_before=oldest)
        return None

    async def _commit_many(
        self, requests: Sequence[_Request], batch_key: str | None, *, refuse_outside: bool
    ) -> list[StoredPrediction]:
        within = self._around([copy_context()]) if self._around else nullcontext()
        async with self._bulk:
            if refuse_outside:
                await asyncio.to_thread(_check_all_supported, requests)
            with within:
                return await self._commit(requests, batch_key=batch_key)

    async def _commit(
        self, requests: Sequence[_Request], *, batch_key: str | None = None
    ) -> list[StoredPrediction]:
        assessed: dict[int, tuple[RiskAssessment, str]] = {}
        for model, places in _by_model(requests):
            found = await self._run(model, [requests[place] for place in places])
            assessed |= zip(places, found, strict=True)
        made_at = self._now()
        predictions = [
            Prediction(each.patient, *assessed[place], made_at, each.key, each.origin)
            for place, each in enumerate(requests)
        ]
        started = perf_counter()
        ids = await self._repository.add(predictions, batch_key=batch_key)
        self._observer.committed(predictions, perf_counter() - started)
        if self._stored is not None:
            self._stored(predictions, ids)
        return [
            StoredPrediction(prediction_id, each.assessment, each.model_version)
            for prediction_id, each in zip(ids, predictions, strict=True)
        ]

    async def _run(
        self, model: RiskModel, requests: Sequence[_Request]
    ) -> list[tuple[RiskAssessment, str]]:
        """Return what ``model`` says of each, and its version.

        Where it fails, the champion of each request answers: they may be several, for a promotion
        may lie between two requests of one commit.
        """
        patients = [each.patient for each in requests]
        version = model.description.version
        started = perf_counter()
        try:
            assessments = await _assessed(model, patients)
        except Exception as error:
            self._note(ModelRun(version, perf_counter() - started, failed=True, error=error))
            if any(each.champion is model for each in requests):
                raise
            return await self._by_champions(requests)
        self._note(ModelRun(version, perf_counter() - started, failed=False))
        return [(each, version) for each in assessments]

    async def _by_champions(self, requests: Sequence[_Request]) -> list[tuple[RiskAssessment, str]]:
        answered: dict[int, tuple[RiskAssessment, str]] = {}
        own = [each._replace(model=each.champion) for each in requests]
        for champion, places in _by_model(own):
            found = await self._run(champion, [own[place] for place in places])
            answered |= zip(places, found, strict=True)
        return [answered[place] for place in range(len(requests))]

    def _note(self, run: ModelRun) -> None:
        if self._ran is not None:
            self._ran(run)


def _by_model(requests: Sequence[_Request]) -> Iterable[tuple[RiskModel, Sequence[int]]]:
    """Return each model that is to answer, with the places of its requests; mostly there is one."""
    if not requests:
        return []
    first = requests[0].model
    if all(request.model is first for request in requests):
        return [(first, range(len(requests)))]
    places: dict[int, tuple[RiskModel, list[int]]] = {}
    for place, request in enumerate(requests):
        places.setdefault(id(request.model), (request.model, []))[1].append(place)
    return places.values()


async def _assessed(model: RiskModel, patients: Sequence[Patient]) -> list[RiskAssessment]:
    if len(patients) < _THREAD_FROM:
        return model.assess(patients)
    return await asyncio.to_thread(model.assess, patients)


def _check_complete(patients: Sequence[Patient], model: RiskModel) -> None:
    """Raise ``InvalidPatient`` for the first one who lacks what the model needs.

    Before they wait for a commit: the patients of others must not fail with them.
    """
    described = model.description
    for patient in patients:
        if patient.missing and (violations := lacking(patient.missing, described.may_be_missing)):
            raise InvalidPatient(violations)
        if described.further:
            check_values(described.further, patient.further)


def _check_supported(patients: Sequence[Patient], model: RiskModel) -> None:
    """Raise ``OutsideSupport`` if the training data do not speak for some of ``patients``.

    A run of the model for itself, and before they wait for a commit: see ``_check_complete``.
    """
    _refuse_outside(model.assess(patients))


def _check_all_supported(requests: Sequence[_Request]) -> None:
    """Do as ``_check_supported`` for requests of several models."""
    outside: list[tuple[int, Support]] = []
    for model, places in _by_model(requests):
        try:
            _check_supported([requests[place].patient for place in places], model)
        except OutsideSupport as error:
            outside += [(places[at], support) for at, support in error.found]
    if outside:
        raise OutsideSupport(tuple(sorted(outside, key=itemgetter(0))))


def _refuse_outside(assessments: Sequence[RiskAssessment]) -> None:
    """Raise ``OutsideSupport`` for the patients for whom the training data do not speak."""
    found = tuple(
        (place, assessment.support)
        for place, assessment in enumerate(assessments)
        if assessment.support is not None and assessment.support.level is SupportLevel.OUTSIDE
    )
    if found:
        raise OutsideSupport(found)
