"""A replay over a fake log and the real database: it restores, regresses nothing, and can be interrupted anywhere."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sink.assignment import Assignment
from sink.avro.decode import Decoder
from sink.breaker import Breaker, BreakerLimits
from sink.collector import Collector
from sink.datasets import DATASETS
from sink.db import replays
from sink.db.connect import open_connection
from sink.db.contents import reading
from sink.errors import ConfigError, DefinitionError, Interrupted, TransientError
from sink.flush import Flusher
from sink.kafka.log import Log
from sink.kafka.stretch import Range, Stretch
from sink.ledger import Source, replay_of
from sink.pipeline import Options, Pipeline
from sink.replaying.flushers import Rehearsal, Replayer
from sink.replaying.run import Ownership, follow
from sink.replaying.symbols import OnlySymbols
from tests.build import NOON, TOPIC, Told
from tests.fake_log import FakeDecoder, FakeLog, partition_of
from tests.fake_writer import FakeWriter

SINK = Source(sink_id="sink.trades", topic=TOPIC)
TRADES = DATASETS["trades"]
Rows = list[tuple[Any, ...]]


class Loop:
    """A pipeline over a log, on the test's own clock."""

    def __init__(self, flusher: Flusher, kafka: Log, decoder: Decoder, *, max_rows: int = 20_000) -> None:
        self.now = 0.0
        self.flusher = flusher
        assignment = Assignment()
        collector = Collector(
            topic=TOPIC,
            order="record",
            decoder=decoder,
            breaker=Breaker(BreakerLimits(share=0.9, window=20, run=10)),
            assignment=assignment,
            clock=self.clock,
        )
        self.pipeline = Pipeline(
            dataset="trades",
            kafka=kafka,
            assignment=assignment,
            collector=collector,
            flusher=flusher,
            writer=FakeWriter(),
            options=Options(max_age=0.0, max_rows=max_rows, positions_every=1.0, session_timeout=2.0),
            clock=self.clock,
            dice=random.Random(7),
        )

    def clock(self) -> float:
        self.now += 0.5
        return self.now


class Bench:
    """A topic, a database, and what reads the one into the other."""

    def __init__(self, url: str, engine: Engine, told: dict[int, list[Told]]) -> None:
        self.url = url
        self.engine = engine
        self.told = told
        self._flushers: list[Flusher] = []

    def live(self) -> Loop:
        """Give the sink itself, which reads everything."""
        log = FakeLog(told=self.told)
        flusher = self._kept(
            Flusher(dataset=TRADES, source=SINK, owner="live", connect=self.connect),
        )
        loop = Loop(flusher, log, FakeDecoder(log))
        log.listener = loop.pipeline
        log.assign(*self.told)
        return loop

    def run_live(self) -> None:
        """Have the sink read everything."""
        loop = self.live()
        for _ in range(12):
            loop.pipeline.step()

    def replay(
        self,
        replay_id: str,
        ranges: Mapping[int, Range],
        *,
        owner: str = "me",
        symbols: Sequence[str] = (),
        max_rows: int = 20_000,
    ) -> Loop:
        """Give a replay that has begun; it is registered unless it is known."""
        with reading(self.url) as session:
            if replays.get(session, replay_id) is None:
                replays.register(
                    session,
                    replay_id=replay_id,
                    sink_id=SINK.sink_id,
                    topic=TOPIC,
                    ranges=ranges,
                    symbols=symbols,
                    owner=owner,
                )
        source = replay_of(SINK, replay_id)
        flusher = self._kept(Replayer(dataset=TRADES, source=source, owner=owner, connect=self.connect))
        return self._over(flusher, ranges, symbols, max_rows)

    def rehearse(self, ranges: Mapping[int, Range], *, samples: int = 5, max_rows: int = 20_000) -> Rehearsal:
        """Give a rehearsal that has come to its end."""
        flusher = Rehearsal(
            dataset=TRADES, source=replay_of(SINK, "dry"), owner="dry", connect=self.connect, samples=samples
        )
        self._kept(flusher)
        loop = self._over(flusher, ranges, (), max_rows)
        assert to_the_end(loop, ranges)
        return flusher

    def take(self, replay_id: str, owner: str) -> replays.Known:
        """Have an owner go on with a replay."""
        with reading(self.url) as session:
            return replays.take(session, replay_id=replay_id, sink_id=SINK.sink_id, owner=owner)

    def known(self, replay_id: str) -> replays.Known:
        """Give what the database knows of a replay."""
        with reading(self.url) as session:
            found = replays.get(session, replay_id)
        assert found is not None
        return found

    def finish(self, replay_id: str) -> None:
        """Note the end of a replay."""
        with reading(self.url) as session:
            replays.finish(session, self.known(replay_id), totals=self.sums(replay_id))

    def ask(self, replay_id: str) -> Callable[[], str | None]:
        """Give a question for a replay's owner."""

        def ask() -> str | None:
            with reading(self.url) as session:
                return replays.owner_of(session, replay_id)

        return ask

    def connect(self) -> Any:
        return open_connection(self.url, application_name="test replay")

    def rows(self, statement: str) -> Rows:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def table(self) -> Rows:
        return self.rows("SELECT * FROM trades ORDER BY symbol, trade_ts, trade_id")

    def sums(self, replay_id: str) -> dict[str, int]:
        with reading(self.url) as session:
            return replays.counts(session, self.known(replay_id))

    def close(self) -> None:
        for flusher in self._flushers:
            flusher.close()

    def _over(self, flusher: Flusher, ranges: Mapping[int, Range], symbols: Sequence[str], max_rows: int) -> Loop:
        log = FakeLog(told=self.told)
        stretch = Stretch(log, ranges, topic=TOPIC, max_rate=None, clock=lambda: 0.0, sleep=lambda _: None)
        decoder: Decoder = FakeDecoder(log)
        loop = Loop(flusher, stretch, OnlySymbols(decoder, symbols) if symbols else decoder, max_rows=max_rows)
        log.listener = loop.pipeline
        log.assign(*ranges)
        return loop

    def _kept(self, flusher: Flusher) -> Flusher:
        self._flushers.append(flusher)
        return flusher


def nothing() -> None:
    """Watch nothing."""


def unseen(done: int, total: int) -> None:
    """See that progress makes sense."""
    assert 0 <= done <= total


def to_the_end(loop: Loop, ranges: Mapping[int, Range], watch: Callable[[], None] = nothing) -> bool:
    """Run a loop to the end of its ranges; a test that never gets there fails."""
    steps = 0

    def counted() -> None:
        nonlocal steps
        steps += 1
        assert steps < 200, "it never ends"
        watch()

    return follow(loop.pipeline, ranges, stop=threading.Event(), watch=counted, progress=unseen)


def watched(told: list[Told]) -> list[Told]:
    """Give messages whose record times rise with their offsets."""
    return [replace(one, at=NOON + timedelta(seconds=one.offset)) for one in told]


@pytest.fixture
def bench(writer_url: str, engine: Engine) -> Iterator[Bench]:
    made = Bench(
        writer_url, engine, {0: watched(partition_of(0, range(12))), 1: watched(partition_of(1, [0, 1, 5, 9]))}
    )
    yield made
    made.close()


ALL = {0: (0, 12), 1: (0, 10)}


def test_it_restores_what_is_missing_and_a_second_one_changes_nothing(bench: Bench) -> None:
    bench.run_live()
    before = bench.rows("SELECT trade_id, price, source_partition, source_offset FROM trades ORDER BY 1")
    positions = bench.rows("SELECT * FROM sink.positions ORDER BY partition")
    bench.execute("DELETE FROM trades WHERE trade_id BETWEEN 3 AND 7")

    assert to_the_end(bench.replay("one", {0: (2, 9)}), {0: (2, 9)})

    assert bench.rows("SELECT trade_id, price, source_partition, source_offset FROM trades ORDER BY 1") == before
    sums = bench.sums("one")
    assert (sums["messages"], sums["rows_written"], sums["rows_not_newer"]) == (7, 5, 2)
    assert bench.rows("SELECT kind, from_offset, to_offset FROM sink.flushes WHERE replay_id = 'one'") == [
        ("replay", 2, 9)
    ]

    table = bench.table()
    bench.finish("one")
    assert to_the_end(bench.replay("two", ALL), ALL)
    assert bench.table() == table
    assert bench.sums("two")["rows_not_newer"] == 16
    assert bench.rows("SELECT * FROM sink.positions WHERE sink_id = 'sink.trades' ORDER BY partition") == positions


def test_it_regresses_nothing(bench: Bench) -> None:
    bench.told[0].append(Told(partition=0, offset=12, trade_id=3, price="99", at=NOON + timedelta(hours=1)))
    bench.run_live()

    assert to_the_end(bench.replay("one", {0: (0, 6)}), {0: (0, 6)})

    assert bench.rows("SELECT price FROM trades WHERE trade_id = 3") == [(99,)]


def test_the_live_sink_goes_on_beside_it(bench: Bench) -> None:
    live = bench.live()
    replay = bench.replay("one", ALL, max_rows=2)
    for _ in range(10):
        live.pipeline.step()
        replay.pipeline.step()
    bench.told[0] += watched(partition_of(0, [12, 13]))
    for _ in range(10):
        live.pipeline.step()
        replay.pipeline.step()

    assert live.pipeline.totals.fenced == replay.pipeline.totals.fenced == 0
    assert bench.rows("SELECT next_offset FROM sink.positions WHERE sink_id = 'sink.trades' ORDER BY partition") == [
        (14,),
        (10,),
    ]
    assert bench.rows("SELECT next_offset FROM sink.positions WHERE sink_id LIKE '%/one' ORDER BY partition") == [
        (12,),
        (10,),
    ]


def test_other_symbols_are_ignored_and_accounted_for(bench: Bench) -> None:
    bench.told[0][4] = replace(bench.told[0][4], symbol="ETHUSDT")

    assert to_the_end(bench.replay("one", {0: (0, 12)}, symbols=["ETHUSDT"]), {0: (0, 12)})

    assert bench.rows("SELECT symbol, trade_id FROM trades") == [("ETHUSDT", 4)]
    sums = bench.sums("one")
    assert (sums["messages"], sums["rows_written"], sums["ignored"], sums["rows_deduplicated"]) == (12, 1, 11, 0)


def test_a_quarantined_message_that_passes_now_is_marked(bench: Bench) -> None:
    good = bench.told[0][4]
    bench.told[0][4] = replace(good, trade_id=None)
    bench.told[0][5] = replace(bench.told[0][5], trade_id=None)
    bench.told[0][6] = replace(bench.told[0][6], trade_id=None, symbol="ETHUSDT")
    bench.run_live()
    kept = 'SELECT sink_id, "offset", replayed_at IS NOT NULL FROM sink.quarantine ORDER BY 2'
    assert bench.rows(kept) == [("sink.trades", 4, False), ("sink.trades", 5, False), ("sink.trades", 6, False)]
    bench.told[0][4] = good  # the decoder was mended for this one, and for one of another symbol
    bench.told[0][6] = replace(bench.told[0][6], trade_id=6)

    assert to_the_end(bench.replay("one", {0: (0, 12)}, symbols=["BTCUSDT"]), {0: (0, 12)})

    assert bench.rows(kept) == [("sink.trades", 4, True), ("sink.trades", 5, False), ("sink.trades", 6, False)]
    assert bench.rows("SELECT count(*) FROM trades WHERE trade_id = 4") == [(1,)]
    sums = bench.sums("one")
    assert (sums["messages"], sums["quarantined"], sums["ignored"]) == (12, 1, 1)


def test_what_fails_again_is_unmarked_again(bench: Bench) -> None:
    bench.told[0][4] = replace(bench.told[0][4], trade_id=None)
    bench.run_live()
    bench.execute("UPDATE sink.quarantine SET replayed_at = now()")

    assert to_the_end(bench.replay("one", {0: (0, 12)}), {0: (0, 12)})

    assert bench.rows('SELECT "offset", replayed_at FROM sink.quarantine') == [(4, None)]


def test_interrupted_it_goes_on_where_it_stopped(bench: Bench) -> None:
    first = bench.replay("one", ALL, max_rows=3)
    while bench.known("one").done < 6:
        first.pipeline.step()
    at = bench.known("one")
    assert 0 < at.done < at.total

    taken = bench.take("one", "another")
    second = bench.replay("one", taken.ranges, owner="another")
    assert to_the_end(second, taken.ranges)

    assert [row[0] for row in bench.rows("SELECT trade_id FROM trades ORDER BY 1")] == [
        *range(12),
        1000,
        1001,
        1005,
        1009,
    ]
    assert bench.sums("one")["messages"] == 16, "nothing was read twice"


def test_the_same_id_run_twice_ends_the_first_with_a_sentence(bench: Bench) -> None:
    first = bench.replay("one", ALL, owner="first", max_rows=3)
    watch = Ownership(pipeline=first.pipeline, replay_id="one", owner="first", ask=bench.ask("one"))
    while not bench.known("one").done:
        first.pipeline.step()
        watch()
    bench.take("one", "second")
    second = bench.replay("one", ALL, owner="second", max_rows=3)
    for _ in range(3):
        second.pipeline.step()

    with pytest.raises(Interrupted, match="replay one was taken over by second"):
        to_the_end(first, ALL, watch)

    assert to_the_end(second, ALL)
    assert bench.sums("one")["messages"] == 16


def test_a_late_claim_of_the_one_that_lost_ends_nobody_but_him(bench: Bench) -> None:
    """Both begin at once; the loser's claim comes last, so that the winner is fenced first."""
    winner = bench.replay("one", ALL, owner="winner")
    watch = Ownership(pipeline=winner.pipeline, replay_id="one", owner="winner", ask=bench.ask("one"))
    for _ in range(2):
        winner.pipeline.step()
    loser = bench.replay("one", ALL, owner="loser")
    for _ in range(2):
        loser.pipeline.step()

    assert to_the_end(winner, ALL, watch)

    assert winner.pipeline.totals.fenced > 0
    with pytest.raises(Interrupted, match="taken over by winner"):
        to_the_end(loser, ALL, Ownership(pipeline=loser.pipeline, replay_id="one", owner="loser", ask=bench.ask("one")))


def test_while_one_lives_another_of_an_overlapping_range_is_refused(bench: Bench) -> None:
    replay = bench.replay("one", {0: (0, 6)}, owner="host/7")
    while bench.known("one").done < 6:
        replay.pipeline.step()

    with pytest.raises(TransientError, match=r"replay one reads .* host/7 is at it, 6 of 6 offsets are done"):
        bench.replay("two", {0: (5, 8)})

    bench.replay("three", {0: (6, 8), 1: (0, 5)})


def test_a_dead_one_can_be_forgotten_and_what_it_wrote_stays(bench: Bench) -> None:
    bench.run_live()
    bench.execute("DELETE FROM trades")
    loop = bench.replay("one", {0: (0, 4)}, max_rows=1)
    for _ in range(4):
        loop.pipeline.step()
    rows, flushes = bench.rows("SELECT count(*) FROM trades"), bench.rows("SELECT * FROM sink.flushes")
    assert bench.known("one").positions
    with reading(bench.url) as session, pytest.raises(TransientError, match="replay one lives: me was heard of"):
        replays.discard(session, replay_id="one", sink_id=SINK.sink_id)
    with reading(bench.url) as session:
        replays.release(session, replay_id="one", owner="me")
        assert replays.discard(session, replay_id="one", sink_id=SINK.sink_id).total == 4
    assert bench.rows("SELECT count(*) FROM sink.positions WHERE sink_id LIKE '%/replay/%'") == [(0,)]
    assert (bench.rows("SELECT count(*) FROM trades"), bench.rows("SELECT * FROM sink.flushes")) == (rows, flushes)
    with reading(bench.url) as session, pytest.raises(ConfigError, match="has no replay one"):
        replays.discard(session, replay_id="one", sink_id=SINK.sink_id)


def test_a_dead_one_is_named_and_stops_nobody(bench: Bench) -> None:
    bench.replay("one", {0: (0, 6)}, owner="host/7")
    assert bench.known("one").alive
    bench.execute("UPDATE sink.replays SET seen_at = now() - interval '1 minute'")

    with reading(bench.url) as session:
        dead = replays.register(
            session, replay_id="two", sink_id=SINK.sink_id, topic=TOPIC, ranges=ALL, symbols=(), owner="me"
        )

    assert [known.id for known in dead] == ["one"]
    assert not bench.known("one").alive


def test_one_that_stopped_in_good_order_stops_nobody(bench: Bench) -> None:
    bench.replay("one", {0: (0, 6)}, owner="host/7")

    with reading(bench.url) as session:
        replays.release(session, replay_id="one", owner="host/7")

    assert not bench.known("one").alive
    bench.replay("two", ALL)


def test_a_replay_that_waits_still_counts_as_alive(bench: Bench) -> None:
    """Its flushes tell otherwise; while it holds to a rate or waits for Kafka, comparing positions does."""
    replay = bench.replay("one", {0: (0, 12)}, max_rows=3)
    for _ in range(2):
        replay.pipeline.step()
    bench.execute("UPDATE sink.replays SET seen_at = now() - interval '1 hour'")
    bench.execute("UPDATE sink.positions SET updated_at = now() - interval '1 hour'")
    assert not bench.known("one").alive

    replay.flusher.positions()

    assert bench.known("one").alive


def test_a_finished_one_keeps_its_proof_and_cannot_be_resumed(bench: Bench) -> None:
    assert to_the_end(bench.replay("one", ALL), ALL)
    bench.finish("one")

    known = bench.known("one")
    assert (known.done, known.total, known.alive) == (22, 22, False)
    assert bench.rows("SELECT count(*) FROM sink.positions WHERE sink_id LIKE '%replay%'") == [(0,)]
    assert bench.sums("one")["messages"] == 16
    with pytest.raises(ConfigError, match="replay one was finished at"):
        bench.take("one", "me")


def test_an_unknown_id_and_one_of_another_dataset_are_refused(bench: Bench) -> None:
    bench.replay("one", ALL)

    with pytest.raises(ConfigError, match=r"has no replay none\. See them with: sink replay --list"):
        bench.take("none", "me")
    with reading(bench.url) as session, pytest.raises(ConfigError, match=r"one belongs to sink\.trades"):
        replays.take(session, replay_id="one", sink_id="sink.funding", owner="me")


def test_a_database_that_goes_away_in_the_middle_is_waited_for(bench: Bench) -> None:
    replay = bench.replay("one", ALL, max_rows=3)
    while not bench.known("one").done:
        replay.pipeline.step()
    bench.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'test replay' AND datname = current_database()"
    )

    assert to_the_end(replay, ALL)

    assert bench.sums("one")["messages"] == 16


@pytest.mark.usefixtures("expects_error_log")
def test_messages_that_kafka_drops_meanwhile_are_named(bench: Bench) -> None:
    log = FakeLog(told=bench.told, log_starts={0: 5})
    ranges = {0: (2, 9)}
    flusher = Replayer(dataset=TRADES, source=replay_of(SINK, "one"), owner="me", connect=bench.connect)
    bench.replay("one", ranges)
    bench.execute(
        "INSERT INTO sink.positions (sink_id, topic, partition, next_offset, claim_token, claim_seq, owner)"
        f" VALUES ('sink.trades/replay/one', '{TOPIC}', 0, 2, gen_random_uuid(), 1, 'me')"
    )
    stretch = Stretch(log, ranges, topic=TOPIC, max_rate=None, clock=lambda: 0.0, sleep=lambda _: None)
    loop = Loop(flusher, stretch, FakeDecoder(log))
    log.listener = loop.pipeline
    log.assign(0)

    with pytest.raises(DefinitionError, match=r"partition 0: offset 2 comes next, .* \[2, 5\) is gone"):
        to_the_end(loop, ranges)
    flusher.close()


# ---- the rehearsal


def test_a_rehearsal_tells_exactly_what_the_replay_does_then(bench: Bench) -> None:
    """Several versions of one key in several batches, missing rows, older rows, bad messages of both kinds."""
    told = bench.told[0]
    told += [
        Told(partition=0, offset=12, trade_id=3, price="7", at=NOON + timedelta(hours=1)),
        Told(partition=0, offset=13, trade_id=3, price="8", at=NOON + timedelta(hours=2)),
        Told(partition=0, offset=14, trade_id=50, price="1", at=NOON + timedelta(hours=2)),
        Told(partition=0, offset=15, trade_id=50, price="2", at=NOON + timedelta(hours=3)),
    ]
    told[8] = replace(told[8], trade_id=None)
    told[9] = replace(told[9], side="nobody")
    bench.run_live()
    bench.execute("DELETE FROM trades WHERE trade_id IN (1, 2, 50)")
    bench.execute("UPDATE trades SET price = 0, observed_at = observed_at - interval '1 day' WHERE trade_id IN (3, 4)")
    bench.execute("DELETE FROM sink.quarantine")
    ranges = {0: (0, 16)}
    before = (bench.table(), bench.rows("SELECT * FROM sink.flushes"), bench.rows("SELECT * FROM sink.positions"))

    seen = bench.rehearse(ranges, max_rows=4).foreseen

    after = (bench.table(), bench.rows("SELECT * FROM sink.flushes"), bench.rows("SELECT * FROM sink.positions"))
    assert after == before
    assert bench.rows("SELECT count(*) FROM sink.quarantine") == [(0,)]
    assert bench.rows("SELECT count(*) FROM sink.replays") == [(0,)]
    assert seen.reasons == {"decode": 1, "rejected": 1}

    assert to_the_end(bench.replay("one", ranges, max_rows=4), ranges)

    sums = bench.sums("one")
    assert seen.inserts + seen.updates == sums["rows_written"]
    assert seen.counts["not_newer"] == sums["rows_not_newer"]
    assert seen.counts["deduplicated"] == sums["rows_deduplicated"]
    assert seen.counts["quarantined"] == sums["quarantined"] == 2
    assert seen.counts["messages"] == sums["messages"] == 16
    assert seen.inserts == len(bench.table()) - len(before[0])


def test_a_rehearsal_shows_old_and_new_column_by_column(bench: Bench) -> None:
    bench.run_live()
    bench.execute("DELETE FROM trades WHERE trade_id = 1")
    bench.execute("UPDATE trades SET price = 0, observed_at = observed_at - interval '1 day' WHERE trade_id = 4")

    seen = bench.rehearse({0: (0, 12)}, samples=3).foreseen

    (added,) = seen.added
    assert added.before is None
    assert (added.after["trade_id"], added.after["source_offset"]) == (1, 1)
    (replaced,) = seen.replaced
    assert replaced.before is not None
    assert (replaced.before["price"], replaced.after["price"], replaced.after["source_offset"]) == (0, 1, 4)
    assert (seen.inserts, seen.updates, seen.counts["not_newer"]) == (1, 1, 10)


def test_a_rehearsal_meets_what_it_would_have_written_itself(bench: Bench) -> None:
    """Versions of one key in batches of their own: the first is new, the second older, the third replaces the first."""
    bench.told[0] += [
        Told(partition=0, offset=12, trade_id=60, price="7", at=NOON + timedelta(hours=1)),
        Told(partition=0, offset=13, trade_id=60, price="8", at=NOON),
        Told(partition=0, offset=14, trade_id=60, price="9", at=NOON + timedelta(hours=2)),
    ]

    seen = bench.rehearse({0: (12, 15)}, max_rows=1).foreseen

    assert (seen.inserts, seen.updates, seen.counts["not_newer"]) == (1, 1, 1)
    (replaced,) = seen.replaced
    assert replaced.before is not None
    assert (replaced.before["price"], replaced.after["price"]) == (7, 9)


def test_a_rehearsal_shows_no_more_than_it_is_asked_for(bench: Bench) -> None:
    seen = bench.rehearse({0: (0, 12)}, samples=2, max_rows=4).foreseen

    assert len(seen.added) == 2
    assert seen.inserts == 12


def test_a_rehearsal_that_loses_its_session_says_so(bench: Bench) -> None:
    rehearsal = bench.rehearse({0: (0, 3)})
    bench.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'test replay' AND datname = current_database()"
    )
    loop = bench._over(rehearsal, {0: (0, 6)}, (), 20_000)

    def watch() -> None:
        if rehearsal.lost:
            raise TransientError("lost")

    with pytest.raises(TransientError, match="lost"):
        to_the_end(loop, {0: (0, 6)}, watch)


# ---- positions that an operator moves


def test_a_rewind_reaches_a_running_replica_and_is_recorded(bench: Bench) -> None:
    live = bench.live()
    for _ in range(8):
        live.pipeline.step()
    bench.execute("DELETE FROM trades")
    operator = Flusher(dataset=TRADES, source=SINK, owner="operator", connect=bench.connect)

    assert operator.move({0: 4, 1: 10, 7: 3}) == {0: 12, 1: 10}

    for _ in range(12):
        live.pipeline.step()
    assert [row[0] for row in bench.rows("SELECT trade_id FROM trades ORDER BY 1")] == list(range(4, 12))
    assert bench.rows("SELECT kind, from_offset, to_offset, owner FROM sink.flushes WHERE partition = 0") == [
        ("flush", 0, 12, "live"),
        ("rewind", 12, 4, "operator"),
        ("flush", 4, 12, "live"),
    ]
    operator.close()


def test_a_rewind_under_a_flush_in_flight_is_not_overwritten(bench: Bench) -> None:
    """The flush was collected before; its locking read finds the position moved and writes nothing."""
    live = bench.live()
    for _ in range(8):
        live.pipeline.step()
    bench.told[0] += watched(partition_of(0, [12, 13]))
    writer = live.pipeline._lane._writer
    assert isinstance(writer, FakeWriter)
    writer.held = True
    for _ in range(3):
        live.pipeline.step()
    operator = Flusher(dataset=TRADES, source=SINK, owner="operator", connect=bench.connect)
    operator.move({0: 4})
    bench.execute("DELETE FROM trades")
    writer.held = False
    writer.release()

    for _ in range(12):
        live.pipeline.step()

    assert [row[0] for row in bench.rows("SELECT trade_id FROM trades ORDER BY 1")] == list(range(4, 14))
    operator.close()


def test_a_database_that_goes_away_in_the_middle_of_a_move_leaves_every_position(bench: Bench) -> None:
    """The connection is lost between the ledger's entries and the positions."""
    bench.run_live()
    bench.execute(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
    )
    bench.execute("CREATE TRIGGER die BEFORE UPDATE ON sink.positions FOR EACH ROW EXECUTE FUNCTION die()")
    operator = Flusher(dataset=TRADES, source=SINK, owner="operator", connect=bench.connect)

    with pytest.raises(TransientError, match="the same call may succeed later"):
        operator.move({0: 4, 1: 3})

    assert bench.rows("SELECT next_offset FROM sink.positions ORDER BY partition") == [(12,), (10,)]
    assert bench.rows("SELECT count(*) FROM sink.flushes WHERE kind = 'rewind'") == [(0,)]


def test_a_move_forward_needs_a_reason_and_keeps_it(bench: Bench) -> None:
    live = bench.live()
    for _ in range(8):
        live.pipeline.step()
    operator = Flusher(dataset=TRADES, source=SINK, owner="operator", connect=bench.connect)

    with pytest.raises(DefinitionError, match="partition 0 stands before that offset"):
        operator.move({0: 15, 1: 3})
    assert bench.rows("SELECT next_offset FROM sink.positions ORDER BY partition") == [(12,), (10,)]

    operator.move({0: 15}, reason="test data")

    assert bench.rows("SELECT from_offset, to_offset, reason FROM sink.flushes WHERE kind = 'skip'") == [
        (12, 15, "test data")
    ]
    operator.close()
