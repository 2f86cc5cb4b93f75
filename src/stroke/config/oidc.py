"""The OpenID provider whose tokens name callers."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from stroke.application.access.tokens import ClaimRules, is_safe
from stroke.config.reading import SettingsGroup, pairs_of, parted, prefixed
from stroke.domain.access import Scope, checked_scopes, checked_site
from stroke.domain.errors import InvalidAccess


def _names_of(text: object) -> object:
    return pairs_of(text) if isinstance(text, str) else text


def _scopes_of_roles(text: object) -> object:
    if not isinstance(text, str):
        return text
    pairs = pairs_of(text)
    try:
        return {role: checked_scopes(value.split("+")) for role, value in pairs.items()}
    except InvalidAccess as error:
        raise ValueError(str(error)) from None


_ROLES: Final = {f"stroke-{scope}": frozenset({scope}) for scope in Scope}


class OidcSettings(SettingsGroup):
    """The OpenID provider whose tokens name callers; none are taken without an issuer."""

    model_config = prefixed("OIDC")

    issuer: str | None = Field(
        None, description="as the provider's tokens have it in iss", pattern=r"^https?://[^\s?#]+$"
    )
    audience: str | None = Field(None, description="of this service, in the claim aud")
    clients: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parted)] = Field(
        (), description="to whom tokens may have been issued; all clients if it is empty"
    )
    role_claims: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parted)] = Field(
        ("roles", "realm_access.roles"), min_length=1
    )
    roles: Annotated[
        dict[str, frozenset[Scope]] | None, NoDecode, BeforeValidator(_scopes_of_roles)
    ] = Field(None, description="ROLE=SCOPE+SCOPE, with commas; stroke-SCOPE for each if not set")
    site_claim: str = Field("site", min_length=1)
    sites: Annotated[dict[str, str] | None, NoDecode, BeforeValidator(_names_of)] = Field(
        None, description="VALUE=SITE, with commas; the claim's value is the site if not set"
    )
    leeway_seconds: float = Field(30, ge=0, le=300, description="by which clocks may differ")
    cache_seconds: float = Field(
        10, ge=0, le=300, description="how long a verified token is not looked at again"
    )
    keys_seconds: float = Field(
        300, gt=0, le=86_400, description="after these the provider's keys are read again"
    )
    grace_seconds: float = Field(
        3600, ge=0, le=86_400, description="how much longer keys count if the provider is away"
    )
    pause_seconds: float = Field(
        2, gt=0, le=300, description="between two readings that unknown ids of keys ask for"
    )
    timeout_seconds: float = Field(5, gt=0, le=60)
    max_document_bytes: int = Field(262_144, ge=1024)
    max_token_bytes: int = Field(16_384, ge=512)
    client_id: str | None = Field(
        None,
        description="of this service at the provider: browsers may sign in there",
        pattern=r"^[!-~]+$",
    )
    client_secret: SecretStr | None = Field(None, min_length=16)
    scopes: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parted)] = Field(
        ("openid",), description="asked for when a browser signs in, with commas"
    )
    sign_in_seconds: float = Field(
        600, ge=10, le=3600, description="how long a browser may stay at the provider"
    )
    insecure_http: bool = Field(
        False, description="whether keys may come over HTTP from another machine"
    )

    @model_validator(mode="after")
    def _have_what_a_token_is_held_to(self) -> Self:
        if self.issuer is None:
            return self
        if not self.audience:
            raise ValueError("STROKE_OIDC_ISSUER needs STROKE_OIDC_AUDIENCE")
        if not is_safe(self.issuer, insecure_http=self.insecure_http):
            raise ValueError(
                "STROKE_OIDC_ISSUER must be an address of HTTPS, without a user's name "
                "(HTTP is for this machine, or needs STROKE_OIDC_INSECURE_HTTP=true)"
            )
        return self

    @model_validator(mode="after")
    def _have_what_a_client_needs(self) -> Self:
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("STROKE_OIDC_CLIENT_ID and STROKE_OIDC_CLIENT_SECRET need each other")
        if self.client_id is not None and self.issuer is None:
            raise ValueError("STROKE_OIDC_CLIENT_ID needs STROKE_OIDC_ISSUER")
        if "openid" not in self.scopes:
            raise ValueError("STROKE_OIDC_SCOPES must have openid")
        return self

    @field_validator("sites")
    @classmethod
    def _have_names_of_sites(cls, sites: dict[str, str] | None) -> dict[str, str] | None:
        try:
            for site in (sites or {}).values():
                checked_site(site)
        except InvalidAccess as error:
            raise ValueError(str(error)) from None
        return sites

    @property
    def rules(self) -> ClaimRules:
        """What claims allow here."""
        return ClaimRules(
            self.role_claims,
            _ROLES if self.roles is None else self.roles,
            self.site_claim,
            self.sites or {},
        )
