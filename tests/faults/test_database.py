"""Faults of the real database before and in the middle of a flush: nothing lost, nothing good in quarantine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Engine, make_url, text

from sink.datasets import DATASETS
from sink.db.connect import open_connection
from sink.db.target import Revisions, revisions_in
from sink.errors import ConfigError, DeadlineError, DefinitionError, OversizeError, RefusedError, TransientError
from sink.flush import Flusher
from sink.ledger import Source
from sink.transactions import Limits
from tests.black_hole import wire_to
from tests.build import TOPIC, Told, batch
from tests.fix_database import REPOSITORY
from tests.flushing import SOURCE, claimed, flusher_of, position, rows_of, trades
from tests.triggers import fail_inserts, mend_inserts, raising

TOLD = [Told(partition=0, offset=offset, trade_id=offset) for offset in range(4)]
OURS = revisions_in(REPOSITORY / "migrations")


@pytest.fixture
def flusher(writer_url: str) -> Iterator[Flusher]:
    made = flusher_of(writer_url)
    yield made
    made.close()


def nothing_happened(engine: Engine) -> bool:
    """Say whether neither rows nor quarantine nor position show a trace of the flush."""
    return trades(engine) == rows_of(engine, "SELECT * FROM sink.quarantine") == [] and position(engine) == 0


def same_flush_passes(flusher: Flusher, engine: Engine) -> bool:
    """Say whether the very same batch is written once the fault is gone."""
    done = flusher.flush(batch(TOLD), {0: claimed(flusher)})
    return done.durable == {0: 4} and [row[0] for row in trades(engine)] == [0, 1, 2, 3]


@pytest.mark.parametrize("path", ["copy", "upsert"])
def test_fault_26_a_backend_that_dies_while_it_writes(flusher: Flusher, engine: Engine, path: str) -> None:
    """The trigger ends its own backend at the first try, in the middle of COPY or of the upsert."""
    claims = {0: claimed(flusher)}
    told = TOLD
    if path == "upsert":  # a duplicate key lets the next flush take the upsert at once
        told = [Told(partition=0, offset=offset + 2, trade_id=offset) for offset in range(4)]
        for offset in (0, 1):
            flusher.flush(batch([Told(partition=0, offset=offset, trade_id=0)]), claims)
    before = trades(engine)
    fail_inserts(engine, "IF nextval('tries') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;")

    with pytest.raises(TransientError):
        flusher.flush(batch(told), claims)
    assert trades(engine) == before

    assert flusher.flush(batch(told), claims).durable == {0: told[-1].offset + 1}
    assert [row[0] for row in trades(engine)] == [0, 1, 2, 3]
    assert rows_of(engine, "SELECT * FROM sink.quarantine") == []


def check_waits(flusher: Flusher, engine: Engine, sqlstate: str) -> None:
    """Fail unless this error leaves nothing behind, is no reason to halve, and the same flush passes later."""
    claims = {0: claimed(flusher)}
    fail_inserts(engine, raising(sqlstate))

    with pytest.raises(TransientError) as caught:
        flusher.flush(batch(TOLD), claims)

    assert not isinstance(caught.value, OversizeError)
    assert caught.value.sqlstate == sqlstate, "retries are counted by it"
    assert nothing_happened(engine)
    mend_inserts(engine)
    assert same_flush_passes(flusher, engine)


@pytest.mark.parametrize("sqlstate", ["40P01", "40001", "55P03"])
def test_fault_29_deadlocks_and_lock_timeouts_wait(flusher: Flusher, engine: Engine, sqlstate: str) -> None:
    check_waits(flusher, engine, sqlstate)


@pytest.mark.parametrize("sqlstate", ["53100", "53200", "53300", "25006"])
def test_fault_31_a_server_without_resources_or_without_writes_waits(
    flusher: Flusher, engine: Engine, sqlstate: str
) -> None:
    """Disk full, out of memory, too many connections, a primary that became a standby."""
    check_waits(flusher, engine, sqlstate)


def test_fault_31_a_server_that_only_reads_is_waited_for(writer_url: str, engine: Engine) -> None:
    """A standby takes the login and refuses writes, which is no wrong setting."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER DATABASE {engine.url.database} SET default_transaction_read_only = on"))

    with pytest.raises(TransientError, match="standby") as caught:
        open_connection(writer_url, application_name="test")
    assert not isinstance(caught.value, RefusedError)


def test_fault_46_a_database_never_migrated_or_behind_is_refused_with_the_command(
    flusher: Flusher, empty_database_url: str
) -> None:
    with pytest.raises(DefinitionError, match=rf"needs revision {OURS.head}\. Run: sink migrate"):
        flusher_of(empty_database_url).inspect(OURS)
    newer = Revisions(heads=frozenset({"0099"}), known=OURS.known | {"0099"})
    with pytest.raises(DefinitionError, match=rf"at revision {OURS.head}, .* needs 0099\. Run: sink migrate"):
        flusher.inspect(newer)
    flusher.inspect(OURS)


def test_fault_46_a_database_ahead_serves_old_code_only_where_it_says_so(flusher: Flusher, engine: Engine) -> None:
    """A rolling release: the schema was expanded, replicas of the version before still write."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
        connection.execute(text("ALTER TABLE trades ADD COLUMN venue text"))
        connection.execute(text("ALTER TABLE sink.flushes ADD COLUMN host text NOT NULL DEFAULT ''"))
        connection.execute(text("COMMENT ON TABLE alembic_version IS 'oldest code: 0098'"))
    with pytest.raises(DefinitionError, match="at revision 0099, which this version"):
        flusher.inspect(OURS)

    with engine.begin() as connection:
        connection.execute(text(f"COMMENT ON TABLE alembic_version IS 'oldest code: {OURS.head}'"))
    flusher.inspect(OURS)
    assert flusher.flush(batch(TOLD), {0: claimed(flusher)}).durable == {0: 4}
    assert len(trades(engine)) == 4


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (
            ["ALTER TABLE trades DROP CONSTRAINT pk_trades"],
            r"no unique index on exactly \(symbol, trade_id, trade_ts\)",
        ),
        (["ALTER TABLE trades DROP COLUMN source_offset"], "lacks column source_offset"),
        (["ALTER TABLE trades ALTER source_offset DROP NOT NULL"], "allows null in source_offset"),
        (
            ["ALTER TABLE trades RENAME TO other", "CREATE TABLE trades (LIKE other INCLUDING INDEXES)"],
            "trades is no hypertable",
        ),
        (["DROP TABLE trades"], "no table trades. Run: sink migrate"),
    ],
)
def test_fault_47_a_table_that_does_not_fit_is_refused_at_the_start(
    flusher: Flusher, engine: Engine, statements: Sequence[str], words: str
) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))

    with pytest.raises(DefinitionError, match=words):
        flusher.inspect(OURS)


def test_fault_47_a_table_made_anew_while_running_halts(flusher: Flusher, engine: Engine) -> None:
    """Its rows are gone, and the position would vouch for them."""
    claims = {0: claimed(flusher)}
    flusher.flush(batch(TOLD[:2]), claims)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept (LIKE trades INCLUDING ALL)"))
        connection.execute(text("DROP TABLE trades"))
        connection.execute(text("ALTER TABLE kept RENAME TO trades"))
        connection.execute(text("GRANT SELECT, INSERT, UPDATE ON trades TO sink_writer"))

    with pytest.raises(DefinitionError, match="was dropped while the sink ran"):
        flusher.flush(batch(TOLD[2:]), claims)
    assert trades(engine) == []
    assert position(engine) == 2


def test_fault_48_two_sinks_on_one_table_are_told_and_converge(
    flusher: Flusher, writer_url: str, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Newest-wins does not ask who writes: two sinks that read one topic leave what one of them would leave."""
    told = [Told(partition=0, offset=n, trade_id=n % 3, price=str(n + 1)) for n in range(9)]
    second = Flusher(
        dataset=DATASETS["trades"],
        source=Source(sink_id="blue.trades", topic=TOPIC),
        owner="blue",
        connect=lambda: open_connection(writer_url, application_name="test"),
    )
    green, blue = {0: claimed(flusher)}, {0: claimed(second)}
    flusher.flush(batch(told[:6]), green)
    second.flush(batch(told), blue)
    flusher.flush(batch(told[6:]), green)

    assert trades(engine) == [(n % 3, n + 1, 0, n) for n in (6, 7, 8)]
    second.recognise("cluster-a", "blue.trades")
    assert "sink.trades" in capsys.readouterr().out
    flusher.recognise("cluster-a", SOURCE.sink_id)
    assert "blue.trades" in capsys.readouterr().out
    second.close()


def test_fault_50_a_quarantine_that_takes_nothing_lets_the_flush_fail_as_a_whole(
    writer_url: str, engine: Engine
) -> None:
    flusher = flusher_of(writer_url, limits=Limits(lock_timeout=0.2))
    claims = {0: claimed(flusher)}
    told = [*TOLD, Told(partition=0, offset=4, trade_id=None)]
    with engine.begin() as holder:
        holder.execute(text("LOCK TABLE sink.quarantine IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(TransientError):
            flusher.flush(batch(told), claims)
        assert trades(engine) == []
        assert position(engine) == 0

    assert flusher.flush(batch(told), claims).durable == {0: 5}
    assert len(trades(engine)) == 4
    assert rows_of(engine, 'SELECT "offset", reason FROM sink.quarantine') == [(4, "decode")]

    with engine.begin() as connection:
        connection.execute(text("DROP TABLE sink.quarantine"))
    with pytest.raises(DefinitionError, match="sink migrate"):
        flusher.flush(batch([Told(partition=0, offset=5, trade_id=None)]), claims)
    assert position(engine) == 5
    flusher.close()


def test_a_silent_server_is_cut_off_and_the_same_flush_passes_later(writer_url: str, engine: Engine) -> None:
    """The server lives and its answers do not arrive: no time-out of either side's kernel or server ends this wait."""
    url = make_url(writer_url)
    with wire_to(url.host or "", url.port or 5432) as wire:
        through = url.set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
        flusher = Flusher(
            dataset=DATASETS["trades"],
            source=SOURCE,
            owner="me",
            connect=lambda: open_connection(through, application_name="test", connect_timeout=2),
            limits=Limits(deadline=0.5, grace=0.2, idle_timeout=1),
        )
        claims = {0: claimed(flusher)}
        wire.freeze()
        for _ in range(2):  # on the open connection, then on one that is not even greeted
            with pytest.raises(TransientError):
                flusher.flush(batch(TOLD), claims)

        wire.thaw()
        assert flusher.flush(batch(TOLD), claims).durable == {0: 4}
        flusher.close()
    assert [row[0] for row in trades(engine)] == [0, 1, 2, 3]


def test_a_transaction_that_takes_too_long_in_many_short_statements_asks_for_a_smaller_batch(
    writer_url: str, engine: Engine
) -> None:
    """PostgreSQL 17 ends it itself; the connection stays whole on older servers until we cut it."""
    with engine.connect() as connection:
        if connection.dialect.server_version_info < (17,):  # type: ignore[operator] # known once connected
            expected: type[TransientError] = TransientError
        else:
            expected = DeadlineError
    flusher = flusher_of(writer_url, limits=Limits(deadline=0.5, grace=1.0))
    claims = {0: claimed(flusher)}
    fail_inserts(engine, "PERFORM pg_sleep(2);")

    with pytest.raises(expected):
        flusher.flush(batch(TOLD), claims)
    assert nothing_happened(engine)
    flusher.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"database": "sink_test_none"}, "there is no database sink_test_none"),
        ({"username": "sink_nobody"}, "refused sink_nobody"),
    ],
)
def test_a_login_that_only_a_person_can_mend_is_told_from_a_server_that_is_away(
    writer_url: str, change: dict[str, str], words: str
) -> None:
    url = make_url(writer_url).set(**change)  # type: ignore[arg-type] # plain words
    with pytest.raises(RefusedError, match=words):
        open_connection(url.render_as_string(hide_password=False), application_name="test")
    with pytest.raises(TransientError, match="no database server answers") as away:
        open_connection(url.set(port=1).render_as_string(hide_password=False), application_name="test")
    assert not isinstance(away.value, RefusedError)


def test_an_option_that_the_driver_does_not_know_is_a_wrong_setting(writer_url: str) -> None:
    url = make_url(writer_url).update_query_dict({"no_such_option": "1"})
    with pytest.raises(ConfigError, match="option"):
        open_connection(url.render_as_string(hide_password=False), application_name="test")
