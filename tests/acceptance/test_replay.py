"""``sink replay`` and ``sink rewind`` as commands, on the real broker and database, beside running replicas."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sink.producing.simulator import Plan, simulate
from tests.fix_sink import Market, Process, wait_until

PLAN = Plan(
    start=datetime(2026, 6, 2, 12, tzinfo=UTC),
    duration=timedelta(minutes=20),
    symbols=tuple(f"S{number}" for number in range(8)),
    trades=4000,
    datasets=frozenset({"trades"}),
)
SMALL = {"SINK_BATCH__MAX_ROWS": "100", "SINK_BATCH__MAX_AGE": "0.05"}
SHAPE = {
    *("replay", "dry_run", "dataset", "topic", "partitions", "symbols", "resumed", "notes", "seconds", "rate"),
    *("messages", "not_newer", "deduplicated", "ignored", "late"),
}
"""What docs/replay.md says that every summary has."""


@pytest.fixture
def filled(market: Market) -> Market:
    """Give a market whose trades are in its table."""
    market.produce(simulate(PLAN))
    market.caught_up("trades")
    return market


def summary(market: Market, *arguments: str) -> Any:
    """Run a command that prints JSON and must succeed."""
    done = market.sink(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def replicas(market: Market, stack: ExitStack, count: int) -> list[Process]:
    """Start replicas and wait until each has its share of the partitions, so that none changes hands any more."""
    processes = [stack.enter_context(market.start("run", "trades")) for _ in range(count)]
    pids = {process.pid for process in processes}

    def shared() -> bool:
        owned = Counter(market.owners().values())
        return owned.keys() == pids and max(owned.values()) - min(owned.values()) <= 1

    processes[0].until(shared, "every replica owns its share")
    return processes


@pytest.fixture
def stack_of_processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def replayed(market: Market) -> int:
    """Count the offsets that replays have made durable."""
    ((count,),) = market.rows(
        "SELECT coalesce(sum(to_offset - from_offset), 0) FROM sink.flushes WHERE kind = 'replay'"
    )
    return int(count)


def test_lost_rows_are_foretold_and_restored_beside_running_replicas(
    filled: Market, stack_of_processes: ExitStack
) -> None:
    before = filled.table("trades")
    live = replicas(filled, stack_of_processes, 2)
    owners = filled.owners()
    stale = "SELECT trade_id FROM trades WHERE symbol = 'S1' ORDER BY trade_id LIMIT 3"
    lost = "symbol = 'S3' OR (symbol = 'S1' AND trade_ts > '2026-06-02 12:15Z')"
    ((missing,),) = filled.rows(f"SELECT count(*) FROM trades WHERE {lost}")
    filled.execute(f"DELETE FROM trades WHERE {lost}")
    filled.execute(
        f"UPDATE trades SET price = 1, observed_at = observed_at - interval '1 day' "
        f" WHERE symbol = 'S1' AND trade_id IN ({stale})"
    )
    broken = filled.table("trades")

    dry = summary(filled, "replay", "trades", "--from", "beginning", "--dry-run", "--samples", "2")

    assert filled.table("trades") == broken
    assert (dry["would_insert"], dry["would_update"]) == (missing, 3)
    assert (dry["messages"], dry["not_newer"], dry["replay"]) == (4000, 4000 - missing - 3, None)
    assert set(dry) == {
        *SHAPE,
        "would_insert",
        "would_update",
        "would_quarantine",
        "would_quarantine_by_reason",
        "samples",
    }
    assert [sample["action"] for sample in dry["samples"]] == ["update", "update", "insert", "insert"]
    assert dry["samples"][0]["columns"]["price"]["old"] == "1"

    real = summary(filled, "replay", "trades", "--from", "beginning")

    assert filled.table("trades") == before
    assert set(real) == {*SHAPE, "written", "quarantined", "quarantined_by_reason"}
    assert (real["messages"], real["written"], real["not_newer"]) == (4000, missing + 3, 4000 - missing - 3)

    again = summary(filled, "replay", "trades", "--from", "yesterday", "--symbols", "S3,NOBODY")
    assert filled.table("trades") == before
    ((of_s3,),) = filled.rows("SELECT count(*) FROM trades WHERE symbol = 'S3'")
    assert (again["written"], again["not_newer"], again["ignored"]) == (0, of_s3, 4000 - of_s3)
    assert any("NOBODY did not occur in these offsets" in note for note in again["notes"])
    assert any("(no zone given, so UTC)" in note for note in again["notes"])
    assert filled.owners() == owners, "no replica was disturbed"
    assert not any("fenced" in process.output or "claimed again" in process.output for process in live)
    filled.check_ledger(messages=4000)
    (first, second) = summary(filled, "replay", "--list")
    assert (first["state"], first["replay"]) == ("finished", real["replay"])
    assert second["symbols"] == ["NOBODY", "S3"]


def test_stopped_killed_and_resumed_it_reads_every_message_once(filled: Market) -> None:
    before = filled.table("trades")
    filled.execute("DELETE FROM trades")
    slow = ("--max-rate", "50/s")

    with filled.start("replay", "trades", "--from", "beginning", *slow, **SMALL) as process:
        process.until(lambda: replayed(filled) > 50, "some of it is done")
        assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0), "the sink goes first"
        process.signal(signal.SIGTERM)
        assert process.end() == 6
    found = re.search(
        r"stopped with [\d,]+ of 4,000 offsets done; go on with: sink (replay trades --resume (\w+))", process.output
    )
    assert found, process.output
    resume = found[1].split()

    done = replayed(filled)
    with filled.start(*resume, *slow, **SMALL) as process:
        process.until(lambda: replayed(filled) > done + 50, "more of it is done")
        process.kill()

    (listed,) = summary(filled, "replay", "trades", "--list")
    assert (listed["replay"], listed["total"]) == (found[2], 4000)
    assert 100 < listed["done"] < 4000
    last = summary(filled, *resume)
    assert (last["replay"], last["resumed"], last["messages"], last["written"]) == (found[2], True, 4000, 4000)
    assert filled.table("trades") == before
    assert replayed(filled) == 4000
    for arguments in (resume, ["replay", "trades", "--discard", found[2]]):
        over = filled.sink(*arguments)
        assert (over.returncode, "was finished at" in over.stderr) == (2, True)


def test_a_rewind_is_followed_by_running_replicas_and_by_stopped_ones(
    filled: Market, stack_of_processes: ExitStack
) -> None:
    before = filled.table("trades")
    (live,) = replicas(filled, stack_of_processes, 1)
    ended = filled.durable()
    filled.execute("DELETE FROM trades")
    asked = filled.sink("rewind", "trades", "--to", "beginning")
    assert (asked.returncode, "give --yes" in asked.stderr) == (2, True)
    assert filled.durable() == ended

    moved = summary(filled, "rewind", "trades", "--to", "beginning", "--yes")

    assert sum(move["offsets"] for move in moved["moved"]) == 4000
    assert {move["kind"] for move in moved["moved"]} == {"rewind"}
    live.until(lambda: filled.table("trades") == before, "everything is read again")
    live.signal(signal.SIGTERM)
    assert live.end() == 0
    wait_until(lambda: filled.durable() == ended, "the positions are back")

    filled.execute("DELETE FROM trades")
    assert len(summary(filled, "rewind", "trades", "--to", "2h", "--yes")["moved"]) == len(moved["moved"])
    forward = filled.sink("rewind", "trades", "--to", "end", "--yes")
    assert (forward.returncode, "say why with --skip" in forward.stderr) == (2, True)
    filled.caught_up("trades")
    assert filled.table("trades") == before


def test_what_makes_no_sense_is_one_sentence_and_an_exit_code(market: Market) -> None:
    for arguments, code, sentence in (
        (("replay", "trades", "--from", "0:5"), 2, "offset 5 of partition 0 lies beyond the log"),
        (("rewind", "trades", "--to", "beginning", "--yes"), 4, "has never run on it"),
    ):
        ended = market.sink(*arguments)
        assert ended.returncode == code, ended.stderr
        assert sentence in ended.stderr
        assert "Traceback" not in ended.stderr


def test_an_empty_topic_is_nothing_to_replay(market: Market) -> None:
    assert summary(market, "replay", "trades", "--from", "beginning")["notes"] == ["nothing to replay"]
