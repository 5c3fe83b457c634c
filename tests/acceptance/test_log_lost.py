"""A log that takes nothing, because its disk is full or its pipe is closed, does not touch the data."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sink.producing.simulator import Plan, simulate
from tests.fix_sink import LIMIT, SINK, Market

PLAN = Plan(
    start=datetime(2026, 6, 2, 12, tzinfo=UTC),
    duration=timedelta(minutes=1),
    trades=300,
    datasets=frozenset({"trades"}),
)
CHATTY = {"SINK_LOG__LEVEL": "debug", "SINK_BATCH__MAX_ROWS": "20"}


@pytest.mark.parametrize("log", ["full disk", "closed pipe"])
def test_fault_54_a_log_that_takes_nothing_does_not_touch_the_data(log: str, market: Market) -> None:
    total = market.produce(simulate(PLAN))
    if log == "full disk":
        stderr = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, stderr = os.pipe()
        os.close(reader)
    try:
        done = subprocess.run(
            [*SINK, "run", "trades", "--until-caught-up"],
            cwd=Path(market.directory),
            env=market.environment(CHATTY),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            timeout=LIMIT,
            check=False,
        )
    finally:
        os.close(stderr)

    assert market.durable() == total
    assert len(market.table("trades")) == total
    market.check_ledger(messages=total)
    assert done.returncode == 0
