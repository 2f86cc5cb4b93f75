"""What is wrong when an object store (S3) cannot be read, in words and with what to do."""

from __future__ import annotations

from typing import Final

# The names of errors as the AWS SDK writes them into its messages: whoever speaks to S3 through it
# gets one type of error for all.
_NO_BUCKET: Final = ("NO_SUCH_BUCKET",)
_NO_KEYS: Final = (
    "INVALID_ACCESS_KEY_ID",
    "ACCESS_DENIED",
    "SIGNATURE_DOES_NOT_MATCH",
    "UNRECOGNIZED_CLIENT",
    "INVALID_CLIENT_TOKEN_ID",
    "MISSING_AUTHENTICATION_TOKEN",
)
_NOBODY: Final = ("NETWORK_CONNECTION", "VALIDATION", "curlCode")


def advice(error: OSError, address: str, settings: str) -> str:
    """Return what is wrong with ``address`` and what to do, from an error of the AWS SDK.

    ``settings`` is what the names of the settings begin with that hold endpoint and keys. Nothing
    of the error itself is in it: it may quote the request.
    """
    said = str(error)
    why = f"check the name, {settings}ENDPOINT and the keys"
    if isinstance(error, FileNotFoundError):
        why = "nothing has a name that begins so; correct it"
    elif any(name in said for name in _NO_BUCKET):
        bucket = "/".join(address.split("/")[:3])
        why = f"there is no bucket {bucket}; correct the name, or {settings}ENDPOINT"
    elif any(name in said for name in _NO_KEYS):
        why = (
            f"the keys may not; correct {settings}ACCESS_KEY_ID and {settings}SECRET_ACCESS_KEY, "
            "or what these keys may do"
        )
    elif any(name in said for name in _NOBODY):
        why = f"nobody answers; correct {settings}ENDPOINT, or start the server"
    return f"{address} cannot be read: {why}"
