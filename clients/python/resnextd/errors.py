"""What can go wrong, by what one can do about it."""
from __future__ import annotations


class ResnextdError(Exception):
    """The base of all errors of this package."""


class Unreachable(ResnextdError):
    """There was no answer: wrong address, no server, or it took longer than the timeout."""


class Rejected(ResnextdError):
    """The server's answer is no; the message says what is wrong and what to change."""

    def __init__(self, status: int, code: str, message: str, request_id: str = "") -> None:
        super().__init__(f"{message} ({code})")
        self.status, self.code, self.message, self.request_id = status, code, message, request_id


class Busy(Rejected):
    """It may say yes later: its queue is full, or it is shutting down."""

    def __init__(self, status: int, code: str, message: str, request_id: str = "",
                 retry_after: float = 1.0) -> None:
        super().__init__(status, code, message, request_id)
        self.retry_after = retry_after
