"""The error tree: every failure a user can meet, with the exit code that names its kind."""

from __future__ import annotations

from typing import ClassVar

SHOWN = 80
"""Characters of a value that a message shows."""


class SinkError(Exception):
    """The sink failed."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None, *, sqlstate: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.sqlstate = sqlstate
        """PostgreSQL's code of what went wrong, None where the database said none."""


class ConfigError(SinkError):
    """A setting or argument is wrong; nothing was started."""

    exit_code: ClassVar[int] = 2


class TransientError(SinkError):
    """A service cannot be reached or is busy; the same call may succeed later."""

    exit_code: ClassVar[int] = 3


class RefusedError(TransientError):
    """A service answers, but does not let us in; at a start somebody has to mend that, later it may be a failover."""


class OversizeError(TransientError):
    """The database refused the amount of work in one statement; half as much may pass."""


class DeadlineError(OversizeError):
    """The database took too long for one transaction; half as much may pass, and later the same may."""


class DefinitionError(SinkError):
    """Something the sink builds on (table, topic, grant, schema, server version) is missing or not as it must be."""

    exit_code: ClassVar[int] = 4


class BadFile(SinkError):
    """A file is not what it is said to be, or a line of it cannot be read."""

    exit_code: ClassVar[int] = 5


class Interrupted(SinkError):
    """The work stopped before its end; the message names the command that goes on."""

    exit_code: ClassVar[int] = 6


class Differences(SinkError):
    """Table or ledger are not what the log says that they must be; the output names what and how to mend it."""

    exit_code: ClassVar[int] = 7


class BadMessage(SinkError):
    """A message cannot become a row; it belongs in quarantine."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        """Short stable word of the kind of fault, for example ``framing`` or ``decimal_range``."""


class BadValue(SinkError, ValueError):
    """A value does not fit its column; nothing was written."""

    def __init__(self, *, field: str, index: int, value: object, fault: str) -> None:
        super().__init__(f"{field} of payload {index}: {_shortened(value)} {fault}")
        self.field = field
        """Table and column, for example ``trades.price``."""
        self.index = index
        """Place of the payload within the call, from 0."""


def _shortened(value: object) -> str:
    """Show a value within a message; one of a million digits would bury the cause."""
    try:
        shown = repr(value)
    except ValueError:  # Python declines to print integers of thousands of digits
        return f"{type(value).__name__} value"
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
