"""One base error with a stable code and an HTTP status; rendered once, at each boundary."""

from __future__ import annotations


class KotaeError(Exception):
    """An expected failure.

    Args:
        message: one line that names the thing.
        hint: the way out, in a few words.
    """

    code = "error"
    status = 400

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class UserError(KotaeError):
    """The caller gave something that cannot be used."""

    code = "invalid"
    status = 422


class NotFound(KotaeError):
    """There is no such thing, or the caller may not know of it: the two look the same."""

    code = "not_found"
    status = 404


class Unauthenticated(KotaeError):
    """No valid proof of who is asking."""

    code = "unauthenticated"
    status = 401


class Forbidden(KotaeError):
    """The caller is known and may not do this."""

    code = "forbidden"
    status = 403


class Conflict(KotaeError):
    """Somebody else was first, or the thing is no longer in the state this needs."""

    code = "conflict"
    status = 409


class TooMany(KotaeError):
    """Over a limit.

    Args:
        retry_after: seconds until it is worth trying again.
    """

    code = "too_many"
    status = 429

    def __init__(self, message: str, hint: str = "", *, retry_after: int = 1) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class Unavailable(KotaeError):
    """Another process or server does not answer.

    Args:
        retry_after: seconds until it is worth trying again.
    """

    code = "unavailable"
    status = 503

    def __init__(self, message: str, hint: str = "", *, retry_after: int = 1) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after
