"""How charts of hospitals are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from stroke.application.access.tokens import is_safe
from stroke.config.reading import Networks, Origins, SettingsGroup, parted, prefixed


def _fhir_server(text: str) -> str:
    parts = urlsplit(text)
    if not is_safe(text, insecure_http=False) or parts.query or parts.fragment:
        raise ValueError("write addresses such as https://ehr.hospital.example/fhir, with commas")
    return text.rstrip("/")


class ClinicalSettings(SettingsGroup):
    """How charts of hospitals are read: which codes count, and for what."""

    model_config = prefixed("CLINICAL")

    codes: Path | None = Field(
        None, description="a JSON file with a site's codes, which change the shipped ones"
    )
    heart_disease: Literal["any", "ischaemic"] = Field(
        "any", description="what counts as heart disease: docs/decisions/0092"
    )
    past_counts: Annotated[
        tuple[Literal["hypertension", "heart_disease"], ...], NoDecode, BeforeValidator(parted)
    ] = Field(("heart_disease",), description="conditions that count also when they are over")
    glucose: Literal["latest", "mean"] = Field(
        "latest", description="whether a mean is taken before a single value"
    )
    card_from: Literal["Low", "Medium", "High"] = Field(
        "Medium", description="the band of risk from which on a card is shown"
    )
    card_when_lacking: bool = Field(
        True, description="whether a card says what the record lacks, where nothing can be assessed"
    )
    public_url: Annotated[str, Field(pattern=r"^https?://[^/\s?#]+[^\s?#]*[^/\s?#]$")] | None = (
        Field(None, description="the service's address as its clients call it")
    )
    max_notes: int = Field(
        10, ge=1, le=1000, description="how many notes are kept of each measurement of a chart"
    )
    max_basis: int = Field(
        100, ge=1, le=1000, description="how many resources an assessment names as its basis"
    )
    adult_age: int = Field(18, ge=0, le=25, description="younger patients are not assessed")
    clients: Path | None = Field(
        None, description="a JSON file with the record systems that sign a token for each call"
    )
    token_seconds: float = Field(
        600, gt=0, le=3600, description="how long a record system's token may live"
    )
    cors_origins: Origins = Field(
        (), description="whose pages may call /cds-services from a browser"
    )

    fhir_servers: Annotated[
        tuple[Annotated[str, AfterValidator(_fhir_server)], ...], NoDecode, BeforeValidator(parted)
    ] = Field((), description="FHIR servers from which what was not sent is fetched")
    fhir_networks: Networks = Field(
        (), description="networks whose addresses such a server may have without being public"
    )
    fetch_seconds: float = Field(2, gt=0, le=30, description="how long fetching a chart may take")
    fetch_max_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, description="how much may be fetched of a chart"
    )
    fetch_max_pages: int = Field(
        40, ge=1, le=1000, description="how many pages of each search are read"
    )
    fetch_connections: int = Field(
        32, ge=1, le=1000, description="how many requests for charts are under way at once"
    )

    @model_validator(mode="after")
    def _say_who_is_called(self) -> Self:
        if self.clients is not None and self.public_url is None:
            raise ValueError(
                "STROKE_CLINICAL_CLIENTS needs STROKE_CLINICAL_PUBLIC_URL: a token names the "
                "address that it is for"
            )
        return self
