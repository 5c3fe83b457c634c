"""Each SQLSTATE means one kind of fault: what is quarantined, what halts, what waits."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from sink.db.sqlstates import Fault, fault_of


@pytest.mark.parametrize(
    ("sqlstate", "fault"),
    [
        ("22003", Fault.DATA),
        ("22P02", Fault.DATA),
        ("22P03", Fault.DEFINITION),
        ("22P04", Fault.DEFINITION),
        ("23514", Fault.DATA),
        ("54000", Fault.DATA),
        ("42P01", Fault.DEFINITION),
        ("42501", Fault.DEFINITION),
        ("28P01", Fault.DEFINITION),
        ("3D000", Fault.DEFINITION),
        ("0A000", Fault.DEFINITION),
        ("08P01", Fault.DEFINITION),
        ("08006", Fault.TRANSIENT),
        ("40001", Fault.TRANSIENT),
        ("40P01", Fault.TRANSIENT),
        ("53100", Fault.TRANSIENT),
        ("53300", Fault.TRANSIENT),
        ("53400", Fault.OVERSIZE),
        ("57014", Fault.OVERSIZE),
        ("55P03", Fault.TRANSIENT),
        ("57P01", Fault.TRANSIENT),
        ("25006", Fault.TRANSIENT),
        ("25P03", Fault.TRANSIENT),
        ("25P04", Fault.SLOW),
        ("XX000", Fault.UNLISTED),
        ("23505", Fault.UNLISTED),
    ],
)
def test_a_servers_answer(sqlstate: str, fault: Fault) -> None:
    assert fault_of(errors.lookup(sqlstate)(), written=frozenset()) is fault


def test_without_a_servers_answer_the_connection_is_lost_or_the_driver_refused() -> None:
    assert fault_of(psycopg.OperationalError(), written=frozenset()) is Fault.TRANSIENT
    assert fault_of(psycopg.DataError(), written=frozenset()) is Fault.DATA
    assert fault_of(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogate"), written=frozenset()) is Fault.DATA
