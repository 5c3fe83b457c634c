"""What a database error means for a flush: one table from SQLSTATE to the kind of fault."""

from __future__ import annotations

from enum import Enum

import psycopg
from psycopg import errors


class Fault(Enum):
    """What kind of fault an error is, which decides what the sink does about it."""

    DATA = "data"
    """A row does not fit: find it by bisection and quarantine it."""
    DEFINITION = "definition"
    """Table, grant or type is not as it must be: halt and say what to mend; never quarantine."""
    OVERSIZE = "oversize"
    """Too much at once: halve the batch."""
    SLOW = "slow"
    """Longer than a transaction may take: halve the batch, and try a single row for ever."""
    TRANSIENT = "transient"
    """The server is away or busy: keep the batch and try again, for ever."""
    UNLISTED = "unlisted"
    """Not known: a few tries, then halt; never quarantine."""


_EXACT = {
    "22P03": Fault.DEFINITION,  # invalid binary representation: our format, not the row
    "22P04": Fault.DEFINITION,  # bad COPY format: likewise
    "08P01": Fault.DEFINITION,  # protocol violation: binary format does not fit the column
    "23514": Fault.DATA,
    "54000": Fault.DATA,  # value too large for an index entry
    "53400": Fault.OVERSIZE,  # TimescaleDB's limit of tuples decompressed in one statement
    "57014": Fault.OVERSIZE,  # our own statement_timeout
    "25P04": Fault.SLOW,  # our own transaction_timeout
    "55P03": Fault.TRANSIENT,
    "25006": Fault.TRANSIENT,  # a standby: the primary moved
    "25P03": Fault.TRANSIENT,  # idle_in_transaction_session_timeout
    "57P01": Fault.TRANSIENT,
    "57P02": Fault.TRANSIENT,
    "57P03": Fault.TRANSIENT,
    "57P05": Fault.TRANSIENT,
}
_BY_CLASS = {
    "08": Fault.TRANSIENT,
    "22": Fault.DATA,
    "40": Fault.TRANSIENT,
    "53": Fault.TRANSIENT,
    "42": Fault.DEFINITION,
    "28": Fault.DEFINITION,
    "3D": Fault.DEFINITION,
    "3F": Fault.DEFINITION,
    "0A": Fault.DEFINITION,
}


def fault_of(error: psycopg.Error | UnicodeEncodeError, *, written: frozenset[str]) -> Fault:
    """Say what kind of fault an error is; ``written`` names the columns that the statement fills."""
    if isinstance(error, UnicodeEncodeError):
        return Fault.DATA
    if isinstance(error, errors.NotNullViolation):
        return Fault.DATA if error.diag.column_name in written else Fault.DEFINITION
    if error.sqlstate is None:
        # no server answer: a lost connection (OperationalError), or the driver refused a value before sending it
        return Fault.DATA if isinstance(error, psycopg.DataError) else Fault.TRANSIENT
    return _EXACT.get(error.sqlstate) or _BY_CLASS.get(error.sqlstate[:2], Fault.UNLISTED)
