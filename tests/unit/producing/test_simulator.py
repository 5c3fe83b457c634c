"""The simulated market: the same for the same plan, and consistent in itself."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sink.db.payloads import CandlePayload, FundingPayload, OpenInterestPayload, TradePayload
from sink.errors import ConfigError
from sink.producing.dumps.cells import fits
from sink.producing.payload import DATASET_OF, event_time
from sink.producing.simulator import Plan, simulate

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

plans = st.builds(
    Plan,
    start=st.integers(0, 10_000).map(lambda minutes: START + minutes * MINUTE),
    duration=st.integers(1, 12).map(lambda minutes: minutes * MINUTE),
    symbols=st.lists(st.sampled_from(["BTCUSDT", "XRPUSDT", "ZZZ", "é"]), min_size=1, unique=True).map(tuple),
    seed=st.integers(0, 2**64),
    trades=st.integers(0, 400),
    open_updates=st.integers(0, 5),
    interest_interval=st.sampled_from([MINUTE, 5 * MINUTE]),
    funding_interval=st.sampled_from([3 * MINUTE, 480 * MINUTE]),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans)
def test_same_plan_gives_the_same_payloads(plan: Plan) -> None:
    assert list(simulate(plan)) == list(simulate(plan))


def test_this_plan_gives_these_payloads_on_every_machine() -> None:
    """Draws are sums and products of the generator's own: a change here changes every demonstration."""
    plan = Plan(start=START, duration=MINUTE, symbols=("BTCUSDT",), trades=1, funding_interval=MINUTE)
    first = {type(payload): payload for payload in simulate(plan)}
    trade, candle = first[TradePayload], first[CandlePayload]
    assert isinstance(trade, TradePayload)
    assert isinstance(candle, CandlePayload)
    assert trade.price == candle.open == candle.close == Decimal("64027.23")
    assert trade.trade_id == 28_401_120 * 10**8


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans)
def test_candles_are_exactly_the_trades_of_their_minute(plan: Plan) -> None:
    trades: dict[tuple[str, datetime], list[TradePayload]] = defaultdict(list)
    candles: list[CandlePayload] = []
    for payload in simulate(plan):
        if isinstance(payload, TradePayload):
            trades[payload.symbol, payload.trade_ts.replace(second=0, microsecond=0)].append(payload)
        elif isinstance(payload, CandlePayload):
            candles.append(payload)
    assert sum(map(len, trades.values())) == plan.trades
    assert len(candles) == plan.cells * (plan.open_updates + 1)
    closes: dict[str, Decimal] = {}
    for candle in candles:
        assert candle.observed_at is not None
        made = [trade for trade in trades[candle.symbol, candle.bucket_start] if trade.trade_ts < candle.observed_at]
        prices = [trade.price for trade in made] or [closes.get(candle.symbol, candle.open)]
        bought = [trade for trade in made if trade.side == "buy"]
        assert (candle.open, candle.high, candle.low, candle.close) == (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        )
        assert (candle.volume, candle.trade_count) == (sum(trade.quantity for trade in made), len(made))
        assert candle.quote_volume == sum(trade.price * trade.quantity for trade in made)
        assert candle.taker_buy_base_volume == sum(trade.quantity for trade in bought)
        assert candle.taker_buy_quote_volume == sum(trade.price * trade.quantity for trade in bought)
        if candle.observed_at == candle.bucket_start + MINUTE:
            closes[candle.symbol] = candle.close


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans)
def test_stream_is_in_the_order_of_observation_with_keys_that_never_repeat(plan: Plan) -> None:
    payloads = list(simulate(plan))
    observed = [payload.observed_at for payload in payloads if payload.observed_at is not None]
    assert len(observed) == len(payloads)
    assert observed == sorted(observed)
    assert all(plan.start <= event_time(payload) < plan.start + plan.duration for payload in payloads)
    trades = [payload for payload in payloads if isinstance(payload, TradePayload)]
    assert len({(trade.symbol, trade.trade_id) for trade in trades}) == len(trades)
    assert all((trade.side == "sell") == trade.is_buyer_maker for trade in trades)
    versions = [(p.symbol, p.bucket_start, p.observed_at) for p in payloads if isinstance(p, CandlePayload)]
    assert len(set(versions)) == len(versions)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans)
def test_every_value_fits_its_column(plan: Plan) -> None:
    for payload in simulate(plan):
        values: list[Any] = [getattr(payload, name) for name in type(payload).__slots__]
        assert all(fits(value) for value in values if isinstance(value, Decimal))


def test_snapshots_and_fundings_come_on_the_clock() -> None:
    plan = Plan(start=START + timedelta(hours=7, minutes=58), duration=10 * MINUTE, symbols=("BTCUSDT",), trades=100)
    payloads = list(simulate(plan))
    eight = START + timedelta(hours=8)
    assert [p.snapshot_ts for p in payloads if isinstance(p, OpenInterestPayload)] == [eight, eight + 5 * MINUTE]
    (funding,) = (p for p in payloads if isinstance(p, FundingPayload))
    assert funding.funding_ts == eight
    assert funding.annualised_rate == funding.funding_rate * 1095


@pytest.mark.parametrize("dataset", DATASET_OF.values())
def test_leaving_datasets_out_changes_nothing_in_the_others(dataset: str) -> None:
    plan = Plan(start=START, duration=10 * MINUTE, trades=300, open_updates=2)
    alone = list(simulate(replace(plan, datasets=frozenset({dataset}))))
    assert alone == [payload for payload in simulate(plan) if DATASET_OF[type(payload)] == dataset]
    assert alone


def test_another_seed_or_symbol_is_another_market() -> None:
    plan = Plan(start=START, duration=MINUTE, symbols=("AAA",), trades=10)
    assert list(simulate(plan)) != list(simulate(replace(plan, seed=8)))
    other = [replace(payload, symbol="AAA") for payload in simulate(replace(plan, symbols=("BBB",)))]
    assert list(simulate(plan)) != other


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"start": START.replace(tzinfo=None)}, "give a full minute and a zone"),
        ({"start": START.replace(second=1)}, "give a full minute"),
        ({"duration": timedelta(seconds=90)}, "lasts whole minutes"),
        ({"duration": timedelta()}, "lasts whole minutes"),
        ({"symbols": ()}, "at least one symbol"),
        ({"symbols": ("A", "A")}, "each only once"),
        ({"symbols": ("A" * 65,)}, "1 to 64"),
        ({"datasets": frozenset({"tradez"})}, "no dataset tradez"),
        ({"datasets": frozenset()}, "no dataset"),
        ({"trades": -1}, "do not fit"),
        ({"trades": 10**12}, "do not fit"),
        ({"open_updates": 60}, "0 to 59 times"),
        ({"funding_interval": timedelta(seconds=30)}, "whole minutes"),
    ],
)
def test_plan_that_makes_no_sense_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        replace(Plan(start=START, duration=MINUTE), **change)
