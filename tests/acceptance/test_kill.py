"""kill -9 in mid-stream, then a restart: the tables are as without it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from sink.producing.simulator import Plan, simulate
from tests.fix_sink import Market, Markets

PLAN = Plan(
    start=datetime(2026, 6, 2, 12, tzinfo=UTC),
    duration=timedelta(minutes=20),
    symbols=tuple(f"S{number}" for number in range(8)),
    trades=12_000,
    datasets=frozenset({"trades", "candles_1m"}),
    open_updates=20,
)
SLOW = {
    "SINK_BATCH__MAX_ROWS": "100",
    # the group takes a killed member for alive until its session has ended
    "SINK_KAFKA__SESSION_TIMEOUT_MS": "3000",
    "SINK_KAFKA__HEARTBEAT_INTERVAL_MS": "500",
}


def everything(market: Market) -> dict[str, list[tuple[object, ...]]]:
    return {dataset: market.table(dataset) for dataset in ("trades", "candles_1m")}


def test_killed_twice_and_restarted_the_tables_are_as_without(
    market: Market, markets: Markets, dice: random.Random
) -> None:
    total = market.produce(simulate(PLAN))
    undisturbed = markets.make(like=market)
    with undisturbed.start("run", "trades", "candles_1m", "--until-caught-up") as beside:
        for _ in range(2):
            goal = market.durable() + dice.randint(1, total // 4)
            with market.start("run", "trades", "candles_1m", **SLOW) as process:
                process.until(lambda: market.durable() >= goal, f"{goal} offsets are durable")  # noqa: B023 (used at once)
                process.kill()
            assert market.durable() < total, "the kill came after the work was done"
        assert beside.end() == 0, beside.output

    market.caught_up("trades", "candles_1m")

    assert market.durable() == total
    assert everything(market) == everything(undisturbed)
    assert len(market.table("trades")) == PLAN.total_trades
    market.check_ledger(messages=total)
    undisturbed.check_ledger(messages=total)
    assert market.rows("SELECT count(*) FROM sink.quarantine") == [(0,)]
