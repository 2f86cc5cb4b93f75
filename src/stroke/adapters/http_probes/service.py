"""The service's HTTP API from a client's side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from urllib.parse import quote

from stroke.adapters.http_probes.exchange import Answer, exchange, with_key
from stroke.application.doctor.ports import PredictionApi
from stroke.domain.errors import EndpointUnavailable, IdempotencyKeyReused
from stroke.domain.patient import Patient
from stroke.domain.prediction import LARGEST_ID


class HttpPredictionApi(PredictionApi):
    """The service at ``url``; an answer may take ``seconds``. ``api_key`` is sent if given."""

    def __init__(self, url: str, *, seconds: float, api_key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._seconds = seconds
        self._headers = with_key(api_key)

    async def live(self) -> None:
        (await self._get("/health/live")).expect(HTTPStatus.OK)

    async def ready(self) -> Mapping[str, str]:
        answer = (await self._get("/health/ready")).expect(HTTPStatus.OK).json()
        try:
            return {str(name): str(state) for name, state in answer["checks"].items()}
        except (LookupError, TypeError, AttributeError) as error:
            raise self._not_ours("/health/ready") from error

    async def predict(self, patient: Patient, *, idempotency_key: str) -> int:
        answer = await exchange(
            f"{self._url}/api/v1/predict",
            seconds=self._seconds,
            method="POST",
            body=asdict(patient),
            headers={**self._headers, "Idempotency-Key": idempotency_key},
        )
        if answer.status == HTTPStatus.CONFLICT:
            raise IdempotencyKeyReused("this idempotency key is taken")
        try:
            return int(answer.expect(HTTPStatus.OK).json()["prediction_id"])
        except (LookupError, TypeError, ValueError) as error:
            raise self._not_ours("/api/v1/predict") from error

    async def provinces(self, country: str) -> dict[int, str]:
        answer = await self._get(f"/api/v1/predictions?country={quote(country)}")
        try:
            items = answer.expect(HTTPStatus.OK).json()["items"]
            return {int(item["id"]): str(item["province"]) for item in items}
        except (LookupError, TypeError, ValueError) as error:
            raise self._not_ours("/api/v1/predictions") from error

    async def erase(self, prediction_id: int) -> bool:
        if not 1 <= prediction_id <= LARGEST_ID:
            return False  # the service would refuse the id
        answer = await exchange(
            f"{self._url}/api/v1/predictions/{prediction_id}",
            seconds=self._seconds,
            method="DELETE",
            headers=self._headers,
        )
        if (
            answer.expect(HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND).status
            == HTTPStatus.NOT_FOUND
        ):
            self._require_problem(answer)
        return answer.status == HTTPStatus.NO_CONTENT

    async def _get(self, path: str) -> Answer:
        return await exchange(f"{self._url}{path}", seconds=self._seconds, headers=self._headers)

    def _require_problem(self, answer: Answer) -> None:
        """Any server answers 404; the service does with a problem document that says so too."""
        found = answer.json()
        if not (isinstance(found, dict) and found.get("status") == answer.status):
            raise self._not_ours("/api/v1/predictions")

    def _not_ours(self, path: str) -> EndpointUnavailable:
        return EndpointUnavailable(f"{self._url}{path} does not answer as this service does")
