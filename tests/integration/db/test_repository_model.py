"""Any sequence of upserts leaves what a few lines of plain Python say it should."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from sink.db.models import Funding
from sink.db.repository import FundingPayload, UpsertResult, upsert_funding
from tests.fix_database import plain_engine

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)
Table = dict[str, tuple[int, Decimal, Decimal | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    symbol: str
    observed: int
    rate: Decimal
    payment: Decimal | None

    def payload(self) -> FundingPayload:
        return FundingPayload(
            symbol=self.symbol,
            funding_ts=NOON,
            funding_rate=self.rate,
            payment=self.payment,
            observed_at=NOON + timedelta(microseconds=self.observed),
        )


def merge(table: Table, write: Write) -> None:
    """Put a version over the row of its key, unless that one was observed later."""
    observed, _, payment = table.get(write.symbol, (write.observed, write.rate, None))
    if write.observed >= observed:
        table[write.symbol] = (write.observed, write.rate, payment if write.payment is None else write.payment)


def expected(calls: list[list[Write]]) -> tuple[Table, list[UpsertResult]]:
    table: Table = {}
    results = []
    for call in calls:
        folded: Table = {}
        for write in sorted(call, key=lambda write: write.observed):
            merge(folded, write)
        before = dict(table)
        for symbol, (observed, rate, payment) in folded.items():
            merge(table, Write(symbol=symbol, observed=observed, rate=rate, payment=payment))
        written = sum(symbol not in before or folded[symbol][0] >= before[symbol][0] for symbol in folded)
        results.append(
            UpsertResult(
                given=len(call),
                deduplicated=len(call) - len(folded),
                written=written,
                not_newer=len(folded) - written,
            )
        )
    return table, results


writes = st.builds(
    Write,
    symbol=st.sampled_from(["A", "B", "a"]),
    observed=st.integers(0, 3),
    rate=st.integers(0, 99).map(Decimal),
    payment=st.none() | st.integers(0, 99).map(Decimal),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.lists(writes, max_size=6), max_size=5))
def test_upserts_match_the_model(writer_url: str, calls: list[list[Write]]) -> None:
    table, results = expected(calls)

    with Session(plain_engine(writer_url)) as session:  # never committed: each example starts with the empty table
        assert [upsert_funding(session, [write.payload() for write in call]) for call in calls] == results
        rows = session.scalars(select(Funding)).all()

    assert {
        row.symbol: ((row.observed_at - NOON) // timedelta(microseconds=1), row.funding_rate, row.payment)
        for row in rows
    } == table
