"""Text that is safe to keep and to show: no credentials, and nothing that a table or a terminal cannot hold.

Errors of stores and networks quote what they were called with: an endpoint with a password in it, a signed URL.
Everything that becomes a `Failure` or an `InterlaceError` passes through here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

HIDDEN = "***"
_SECRET_NAME = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|PRIVATE_KEY|CREDENTIAL|CONNECTION_STRING", re.I)
_MIN_SECRET = 8  # a shorter value of an environment variable is a word that occurs by itself
_USER_INFO = re.compile(r"(?<=://)[^/\s'\"@<>]+@")
_SIGNED = re.compile(
    r"((?:X-Amz-(?:Signature|Credential|Security-Token)|AWSAccessKeyId|Signature|sig|access_token|token|api_?key|"
    r"password)=)[^&\s'\"<>]+",
    re.I,
)
_BEARER = re.compile(r"(\bBearer\s+|\bCredential=|\bAuthorization:\s*(?:\w+\s+)?)[A-Za-z0-9._~+/=-]{12,}", re.I)


def redact(text: str) -> str:
    """The text without user info in URLs, signatures, tokens, or any value of a secret environment variable."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # libraries hand out lone surrogates, which no table holds
    for value in _secrets():
        if value in text:
            text = text.replace(value, HIDDEN)
    if "=" in text:
        text = _SIGNED.sub(rf"\1{HIDDEN}", text)
    if "://" in text:
        text = _USER_INFO.sub(f"{HIDDEN}@", text)
    return _BEARER.sub(rf"\1{HIDDEN}", text)


def has_user_info(url: str) -> bool:
    """Whether a URL carries a name or password before its host."""
    return _USER_INFO.search(url) is not None


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that has no business with any store."""
    return {name: value for name, value in environment.items() if not _SECRET_NAME.search(name)}


def _secrets() -> list[str]:
    """Values of environment variables that are named as secrets, longest first."""
    found = {v for n, v in os.environ.items() if len(v) >= _MIN_SECRET and _SECRET_NAME.search(n)}
    return sorted(found - {"false", "true"}, key=len, reverse=True)
