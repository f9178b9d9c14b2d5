"""Errors of the chat API: a status, and a body that the official clients turn into their exceptions."""

from __future__ import annotations

from typing import Any

from encoders.failures import Failure, FailureCategory, InterlaceError

_KINDS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "invalid_request"),
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "forbidden"),
    404: ("invalid_request_error", "not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    408: ("invalid_request_error", "request_timeout"),
    413: ("payload_too_large", "payload_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", "internal_error"),
    503: ("server_error", "service_unavailable"),
}


class ChatError(InterlaceError):
    """An answer that is an error.

    ``field`` names the part of the request that is at fault, as ``messages[0].content``. Clients try 408, 429 and
    5xx again, so what would fail again in the same way must be another 4xx. ``retry_after`` is in seconds.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        kind, default_code = _KINDS[status]
        self.status, self.message, self.field = status, message, field
        self.type, self.code, self.retry_after = kind, code or default_code, retry_after

    def __reduce__(self) -> tuple[Any, ...]:  # exceptions pickle by their args alone
        return _rebuilt, (self.status, self.message, self.field, self.code, self.retry_after)

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        message = f"Field '{self.field}': {self.message}" if self.field else self.message
        return {"error": {"message": message, "type": self.type, "code": self.code, "param": self.field}}

    def headers(self) -> dict[str, str]:
        """Headers that belong to it."""
        headers = {"retry-after": str(max(1, round(self.retry_after)))} if self.retry_after is not None else {}
        return headers | ({"www-authenticate": "Bearer"} if self.status == 401 else {})


def bad_request(field: str | None, message: str) -> ChatError:
    """A 400 that names the field at fault."""
    return ChatError(400, message, field=field)


def from_failure(failure: Failure, field: str | None) -> ChatError:
    """A file that could not be read. The same bytes fail again, so it is the client's to change them."""
    status = 413 if failure.category is FailureCategory.TOO_LARGE else 400
    return ChatError(status, f"{failure.message} ({failure.category.value})", field=field)


def _rebuilt(status: int, message: str, field: str | None, code: str, retry_after: float | None) -> ChatError:
    return ChatError(status, message, field=field, code=code, retry_after=retry_after)
