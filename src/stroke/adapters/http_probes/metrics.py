"""Metrics in Prometheus' text format, as a scrape gets them."""

from __future__ import annotations

from http import HTTPStatus

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from stroke.adapters.http_probes.exchange import exchange, with_key
from stroke.application.doctor.ports import Metrics
from stroke.domain.errors import EndpointUnavailable


class ScrapedMetrics(Metrics):
    """What ``url`` exposes; an answer may take ``seconds``. ``api_key`` is sent if given."""

    def __init__(self, url: str, *, seconds: float, api_key: str | None = None) -> None:
        self._url = url
        self._seconds = seconds
        self._headers = with_key(api_key)

    async def names(self) -> frozenset[str]:
        return frozenset(family.name for family in await self._families())

    async def values(self, name: str, label: str) -> dict[str, float]:
        return {
            labels[label]: value for labels, value in await self.samples(name) if label in labels
        }

    async def samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        return [
            (dict(sample.labels), sample.value)
            for family in await self._families()
            if family.name == name
            for sample in family.samples
        ]

    async def _families(self) -> list[Metric]:
        answer = (await exchange(self._url, seconds=self._seconds, headers=self._headers)).expect(
            HTTPStatus.OK
        )
        try:
            return list(text_string_to_metric_families(answer.content.decode()))
        except ValueError as error:
            raise EndpointUnavailable(f"{self._url} exposes no metrics of Prometheus") from error
