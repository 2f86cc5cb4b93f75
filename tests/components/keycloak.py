"""Keycloak with one realm: its clients, users and keys, and tokens as callers get them."""

from __future__ import annotations

import json
import secrets
import subprocess
from typing import Any, Final, Self

import urllib3

from components.containers import LABELS, build_image, free_port
from components.processes import wait_for

REALM: Final = "clinic"
_STARTS_WITHIN: Final = 300.0
_OF_KEYS: Final = "org.keycloak.keys.KeyProvider"
_AUDIENCE: Final = {
    "name": "audience",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-audience-mapper",
    "config": {"included.custom.audience": "stroke", "access.token.claim": "true"},
}
_GROUPS: Final = {
    "name": "clinics",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-group-membership-mapper",
    "config": {
        "claim.name": "clinics",
        "full.path": "true",
        "access.token.claim": "true",
        "id.token.claim": "true",
    },
}
_ROLES: Final = {
    "name": "roles in the ID token",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-usermodel-realm-role-mapper",
    "config": {
        "claim.name": "realm_access.roles",
        "jsonType.label": "String",
        "multivalued": "true",
        "id.token.claim": "true",
        "access.token.claim": "true",
    },
}
_SOUTH: Final = {
    "name": "clinics",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-hardcoded-claim-mapper",
    "config": {
        "claim.name": "clinics",
        "claim.value": "/south",
        "jsonType.label": "String",
        "access.token.claim": "true",
    },
}


CLIENT: Final = "browser"
CLIENT_SECRET: Final = "secret-of-the-browser"


class Keycloak:
    """A container of our image, within ``with``. Tokens are of the realm ``clinic``.

    Its clients are ``page`` (users log in with a password), ``browser`` (users log in with the
    form), ``ward`` (a program with a secret, of the site south), ``elsewhere`` (tokens without our
    audience), ``brief`` (tokens that live for 2 s), ``es256`` and ``ps256`` (another algorithm).
    Every user's password is ``password``.
    """

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(16)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.issuer = f"{self.url}/realms/{REALM}"
        self._name = f"stroke-test-keycloak-{secrets.token_hex(4)}"
        self._http = urllib3.PoolManager(retries=False, timeout=60)
        self._admin = ""

    def __enter__(self) -> Self:
        labels = [each for name, value in LABELS.items() for each in ("--label", f"{name}={value}")]
        settings = {
            "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
            "KC_BOOTSTRAP_ADMIN_PASSWORD": self.password,
            "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1",
        }
        given = [each for name, value in settings.items() for each in ("-e", f"{name}={value}")]
        image = build_image("keycloak-test")
        at = ("-p", f"127.0.0.1:{self._port}:8080")
        _docker("run", "-d", "--rm", "--name", self._name, *labels, *given, *at, image)
        try:
            wait_for(f"{self.url}/realms/master", within=_STARTS_WITHIN)
            self._call("POST", "/admin/realms", _realm())
        except BaseException as error:
            error.add_note(_docker("logs", "--tail", "40", self._name))
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _docker("rm", "-f", self._name)

    def login(self, user: str, client: str = "page") -> str:
        """Return the access token of a user who logs in with a password."""
        return str(self.tokens(user, client)["access_token"])

    def tokens(self, user: str, client: str = "page") -> dict[str, Any]:
        """Return all tokens that a user gets at the login."""
        asked = {"username": user, "password": "password", "scope": "openid"}
        return self._token({"grant_type": "password", "client_id": client, **asked})

    def program(self) -> str:
        """Return the access token of the client ``ward``, with no user (client credentials)."""
        asked = {"grant_type": "client_credentials", "client_secret": "secret-of-the-ward"}
        return str(self._token({"client_id": "ward", **asked})["access_token"])

    def add_signing_key(self, priority: int) -> str:
        """Make a new key for RS256, which signs if its priority is the highest. Return its id."""
        name = f"rsa-{priority}"
        config = {"priority": [str(priority)], "enabled": ["true"], "active": ["true"]}
        self._call(
            "POST",
            f"/admin/realms/{REALM}/components",
            {
                "name": name,
                "providerId": "rsa-generated",
                "providerType": _OF_KEYS,
                "config": {**config, "keySize": ["2048"], "algorithm": ["RS256"]},
            },
        )
        return self._component(name)

    def remove_key(self, component: str) -> None:
        """Take a key back, as after it became known to others."""
        self._call("DELETE", f"/admin/realms/{REALM}/components/{component}")

    def _component(self, name: str) -> str:
        listed = self._call("GET", f"/admin/realms/{REALM}/components?type={_OF_KEYS}&name={name}")
        return str(listed[0]["id"])

    def _token(self, fields: dict[str, str], realm: str = REALM) -> dict[str, Any]:
        answer = self._http.request(
            "POST",
            f"{self.url}/realms/{realm}/protocol/openid-connect/token",
            fields=fields,
            encode_multipart=False,
        )
        assert answer.status == 200, answer.data.decode()
        found: dict[str, Any] = answer.json()
        return found

    def _call(self, method: str, path: str, body: object = None) -> Any:
        asked = {"grant_type": "password", "username": "admin", "password": self.password}
        token = self._token({"client_id": "admin-cli", **asked}, "master")["access_token"]
        answer = self._http.request(
            method,
            self.url + path,
            body=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.data.decode()}"
        return answer.json() if answer.data else None


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _client(name: str, *mappers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "clientId": name,
        "publicClient": True,
        "directAccessGrantsEnabled": True,
        "standardFlowEnabled": False,
        "protocolMappers": list(mappers),
        **more,
    }


def _user(name: str, roles: list[str], groups: list[str]) -> dict[str, Any]:
    return {
        "username": name,
        "enabled": True,
        "email": f"{name}@clinic.example",
        "emailVerified": True,
        "firstName": name,
        "lastName": "Example",
        "credentials": [{"type": "password", "value": "password", "temporary": False}],
        "realmRoles": roles,
        "groups": groups,
    }


def _realm() -> dict[str, Any]:
    roles = ["clinician", "auditor", "head", "cook"]
    ours = (_AUDIENCE, _GROUPS)
    return {
        "realm": REALM,
        "enabled": True,
        "sslRequired": "none",
        "roles": {"realm": [{"name": name} for name in roles]},
        "groups": [{"name": "north"}, {"name": "south"}],
        "clients": [
            _client("page", *ours),
            _client("elsewhere", _GROUPS),
            _client("brief", *ours, attributes={"access.token.lifespan": "2"}),
            _client("es256", *ours, attributes={"access.token.signed.response.alg": "ES256"}),
            _client("ps256", *ours, attributes={"access.token.signed.response.alg": "PS256"}),
            _client(
                CLIENT,
                _GROUPS,
                _ROLES,
                publicClient=False,
                secret=CLIENT_SECRET,
                standardFlowEnabled=True,
                directAccessGrantsEnabled=False,
                redirectUris=["*"],
                attributes={
                    "post.logout.redirect.uris": "+",
                    "pkce.code.challenge.method": "S256",
                },
            ),
            _client(
                "ward",
                _AUDIENCE,
                _SOUTH,
                publicClient=False,
                secret="secret-of-the-ward",
                serviceAccountsEnabled=True,
            ),
        ],
        "users": [
            _user("nora", ["clinician"], ["/north"]),
            _user("sam", ["clinician"], ["/south"]),
            _user("both", ["clinician"], ["/north", "/south"]),
            _user("nowhere", ["clinician"], []),
            _user("head", ["head"], []),
            _user("cook", ["cook"], ["/north"]),
            {
                "username": "service-account-ward",
                "enabled": True,
                "serviceAccountClientId": "ward",
                "realmRoles": ["clinician"],
            },
        ],
    }
