# ruff: noqa: INP001 -- Ansible loads it from its folder
"""Ansible's lookup ``stroke_secret``: a secret of the stack, from where it is kept."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = r"""
name: stroke_secret
short_description: A secret, from the environment or from AWS Secrets Manager
description:
  - A name that is set in the environment of the controller is taken from there; the keys for AWS
    as STROKE_HOST_AWS_ACCESS_KEY_ID and STROKE_HOST_AWS_SECRET_ACCESS_KEY.
  - Otherwise it is in Secrets Manager. Where O(secret_id) ends in a slash, each name is a secret of
    its own, called by that and the name; else it is a key of the one JSON object kept there.
options:
  _terms:
    description: Names, as in deploy/.env.example.
    required: true
  secret_id:
    description: A prefix or a name in Secrets Manager; empty to take the environment only.
    default: ""
  required:
    description: Whether a name that is nowhere is an error, and not an empty string.
    type: bool
    default: true
"""


# The keys that an operator works with are not those that a host should have.
_OF_THE_HOST = {
    "AWS_ACCESS_KEY_ID": "STROKE_HOST_AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY": "STROKE_HOST_AWS_SECRET_ACCESS_KEY",
}


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible has no types
    """Returns one string for each name. Errors quote names, never values."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        return [
            _secret(name, self.get_option("secret_id"), required=self.get_option("required"))
            for name in terms
        ]


def _secret(name: str, secret_id: str, *, required: bool) -> str:
    in_environment = os.environ.get(_OF_THE_HOST.get(name, name))
    value = in_environment or (_kept(secret_id, name) if secret_id else "")
    if required and not value:
        place = f" and not kept at {secret_id}" if secret_id else ""
        raise AnsibleLookupError(f"{name} is not set in the environment{place}")
    if "'" in value or "\n" in value:
        # It becomes a quoted line of a settings file.
        raise AnsibleLookupError(f"{name} holds a quote or a line break: choose another value")
    return value


def _kept(secret_id: str, name: str) -> str:
    if secret_id.endswith("/"):
        return _secret_string(secret_id + name) or ""
    text = _secret_string(secret_id)
    try:
        kept = json.loads(text or "null")
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise AnsibleLookupError(f"the secret {secret_id} is not there, or no JSON object")
    return str(kept.get(name, ""))


@lru_cache
def _client() -> Any:
    import boto3  # noqa: PLC0415 -- only who keeps secrets there needs it

    return boto3.client("secretsmanager")


@lru_cache
def _secret_string(secret_id: str) -> str | None:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 -- as boto3

    try:
        return str(_client().get_secret_value(SecretId=secret_id)["SecretString"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise AnsibleLookupError(f"the secret {secret_id} cannot be read: {error}") from error
    except (BotoCoreError, KeyError) as error:
        raise AnsibleLookupError(f"the secret {secret_id} cannot be read: {error}") from error
