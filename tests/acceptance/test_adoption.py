"""``sink offsets``: positions taken over from a consumer group as Kafka Connect leaves it, exported, given back."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from sink.cli import wiring
from sink.cli.offsets_file import Exported, ExportedSink
from sink.cli.offsets_import import Given, Import, adopt, from_file, from_group, planned
from sink.datasets import DATASETS
from sink.errors import ConfigError, DefinitionError, SinkError, TransientError
from sink.kafka.logs import remarks
from sink.kafka.standing import Brokers
from sink.ledger import Source
from sink.producing.simulator import Plan, simulate
from sink.settings import Settings, load
from tests.fix_database import plain_engine
from tests.fix_sink import PARTITIONS, Market, Markets
from tests.patience import ANSWER
from tests.rig import chain_is_whole

GUIDE = Path(__file__).parents[2] / "docs/migrating-from-kafka-connect.md"
COUNT = 400
PLAN = Plan(
    start=datetime(2026, 6, 2, 12, tzinfo=UTC),
    duration=timedelta(minutes=10),
    symbols=tuple(f"S{number}" for number in range(8)),
    trades=COUNT,
    datasets=frozenset({"trades"}),
)


@contextmanager
def connector(market: Market, group: str) -> Iterator[Consumer]:
    """Give a plain consumer, as a connector's task has one."""
    consumer = Consumer(
        {
            "bootstrap.servers": market.servers.bootstrap_servers,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        },
        logger=remarks(__name__),
    )
    try:
        yield consumer
    finally:
        consumer.close()


@pytest.fixture
def filled(market: Market) -> Market:
    """Give a market with trades in its topic and nothing in its table."""
    market.produce(simulate(PLAN))
    return market


@pytest.fixture
def group(filled: Market) -> str:
    """Give a stopped connector's group, whose commits leave out partition 0 and stand in the middle of the others."""
    name = f"connect-{uuid.uuid4().hex}"
    with connector(filled, name) as consumer:
        places = [
            TopicPartition(filled.topic("trades"), number, ends(consumer, filled)[number] // 2)
            for number in range(1, PARTITIONS)
        ]
        consumer.commit(offsets=places, asynchronous=False)
    return name


def ends(consumer: Consumer, market: Market) -> dict[int, int]:
    """Give the log's ends."""
    topic = market.topic("trades")
    return {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=ANSWER)[1]
        for number in range(PARTITIONS)
    }


def summary(market: Market, *arguments: str, **variables: str) -> Any:
    """Run a command that prints JSON and must succeed."""
    done = market.sink(*arguments, "--json", **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def brokers_of(market: Market) -> Brokers:
    """Give the market's brokers."""
    return Brokers({"bootstrap.servers": market.servers.bootstrap_servers}, timeout=ANSWER)


def settings_of(market: Market) -> Settings:
    """Give the settings of the market's commands."""
    return load(market.environment({}), directory=market.directory)


def source_of(market: Market) -> Source:
    """Name the market's sink of trades."""
    return wiring.source_of(DATASETS["trades"], settings_of(market))


def import_of(market: Market, group: str, *, overwrite: bool = False) -> tuple[Given, Import]:
    """Plan to take over from a group, as the command does."""
    brokers = brokers_of(market)
    given = from_group(group, [source_of(market)], brokers, force=False)
    return given, planned(DATASETS["trades"], settings_of(market), given, brokers, only=set(), overwrite=overwrite)


def positions(market: Market) -> dict[int, int]:
    """Give the sink's positions."""
    return dict(market.rows("SELECT partition, next_offset FROM sink.positions"))


def parts(shown: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Give what a command said of each partition."""
    return {part["partition"]: part for part in shown["datasets"][0]["partitions"]}


def test_the_guide_works_as_it_is_written(filled: Market, group: str) -> None:
    """Every sink command of the guide, in its order: only rows behind the group's commits are written."""
    commands = [
        line.split("#")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
        for line in block.splitlines()
        if line.strip().startswith("sink ")
    ]
    assert {" ".join(command.split()[:3]) for command in commands} >= {
        "sink offsets show",
        "sink offsets import",
        "sink offsets export",
        "sink run trades",
    }
    for command in commands:
        words = [word.replace("connect-trades-jdbc", group) for word in command.split()[1:]]
        more = ["--until-caught-up"] if words[0] == "run" else []
        done = filled.sink(*words, *more)
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    logs = parts(summary(filled, "offsets", "show", "trades"))
    begun = {number: 0 if number == 0 else logs[number]["log_end"] // 2 for number in range(PARTITIONS)}
    total = sum(logs[number]["log_end"] - begun[number] for number in range(PARTITIONS))
    assert sum(begun.values()) > 0
    found = filled.rows("SELECT source_partition, min(source_offset), count(*) FROM trades GROUP BY 1")
    expected = {n: (begun[n], logs[n]["log_end"] - begun[n]) for n in begun if logs[n]["log_end"] > begun[n]}
    assert {number: (first, count) for number, first, count in found} == expected
    filled.check_ledger(messages=total)
    skipped = filled.rows("SELECT partition, from_offset, to_offset, reason FROM sink.flushes WHERE kind = 'skip'")
    reason = f"offsets imported from group {group}"
    assert sorted(skipped) == [(number, 0, begun[number], reason) for number in begun if begun[number]]

    text = (filled.directory / "offsets.csv").read_text().split()
    assert text == [f"{filled.topic('trades')},{number},{logs[number]['log_end']}" for number in range(PARTITIONS)]
    given = json.loads((filled.directory / "connect-offsets.json").read_text())["offsets"]
    assert [one["offset"]["kafka_offset"] for one in given] == [logs[n]["log_end"] for n in range(PARTITIONS)]


def test_a_group_that_still_reads_is_named_and_refused_unless_by_force(filled: Market, group: str) -> None:
    topic, brokers, source = filled.topic("trades"), brokers_of(filled), source_of(filled)
    with connector(filled, group) as consumer:
        consumer.subscribe([topic])
        until = time.monotonic() + 60
        while len(consumer.assignment()) < PARTITIONS:
            consumer.poll(0.1)
            assert time.monotonic() < until
        with pytest.raises(TransientError, match=f"group {group} is still reading: rdkafka on "):
            from_group(group, [source], brokers, force=False)
        assert set(from_group(group, [source], brokers, force=True).offsets[topic]) == {1, 2, 3}
    assert from_group(group, [source], brokers, force=False).offsets


def test_bad_input_is_refused_with_a_sentence_and_changes_nothing(filled: Market, group: str) -> None:
    topic, beyond = filled.topic("trades"), f"{group}-beyond"
    with connector(filled, beyond) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 1, 1_000_000)], asynchronous=False)
    brokers, source = brokers_of(filled), source_of(filled)

    def file(cluster_id: str, topic_id: str | None, of: str = topic) -> Given:
        sink = ExportedSink(dataset="trades", sink_id="s", topic=of, topic_id=topic_id, positions={0: 1})
        exported = Exported(exported_at=datetime(2026, 6, 2, 12, tzinfo=UTC), cluster_id=cluster_id, sinks=[sink])
        path = filled.directory / "given.json"
        path.write_text(exported.model_dump_json())
        return from_file(path, brokers, [source])

    def take(given: Given, only: set[int]) -> object:
        return planned(DATASETS["trades"], settings_of(filled), given, brokers, only=only, overwrite=False)

    here = brokers.cluster_id()
    cases: list[tuple[Callable[[], object], type[SinkError], str]] = [
        (lambda: from_group("connect-nobody", [source], brokers, force=False), ConfigError, "has no commits of"),
        (lambda: take(from_group(beyond, [source], brokers, force=False), set()), ConfigError, "beyond the log"),
        (lambda: take(from_group(group, [source], brokers, force=False), {0}), ConfigError, "has no offset of"),
        (lambda: file("elsewhere", None), DefinitionError, "holds offsets of Kafka cluster elsewhere"),
        (lambda: file(here, None, "orders"), ConfigError, "its topics are: orders"),
        (lambda: take(file(here, "old"), set()), DefinitionError, "was deleted and made anew"),
    ]
    for call, kind, said in cases:
        with pytest.raises(kind, match=said):
            call()
    for arguments, code, said in (
        (["import", "trades"], 2, "either --from-group GROUP or --from-file FILE"),
        (["import", "trades", "--from-group", group], 2, "nobody can be asked here; give --yes"),
        (["export"], 4, "there are no positions"),
    ):
        done = filled.sink("offsets", *arguments)
        assert (done.returncode, said in done.stderr) == (code, True), (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    assert positions(filled) == {}


@pytest.mark.parametrize(
    ("topic_id", "kind", "said"),
    [
        (None, TransientError, "position of partition 2 appeared or vanished meanwhile"),
        ("old", DefinitionError, r"was deleted and made anew \(id old became"),
    ],
)
def test_a_position_that_appears_after_the_question_is_not_moved(
    topic_id: str | None, kind: type[SinkError], said: str, filled: Market, group: str
) -> None:
    """The sink starts between the plan and its writing: nothing of the dataset is written."""
    given, one = import_of(filled, group)
    stored = "NULL" if topic_id is None else f"'{topic_id}'"
    filled.execute(
        "INSERT INTO sink.positions (sink_id, topic, partition, topic_id, next_offset, claim_token, claim_seq, owner)"
        f" VALUES ('{one.source.sink_id}', '{one.source.topic}', 2, {stored}, 7, gen_random_uuid(), 1, 'host/1')"
    )
    with pytest.raises(kind, match=said):
        adopt([one], given)
    one.adopter.close()
    assert positions(filled) == {2: 7}
    assert filled.rows("SELECT count(*) FROM sink.flushes") == [(0,)]


DYING = """
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
CREATE TRIGGER die BEFORE INSERT ON sink.flushes FOR EACH ROW EXECUTE FUNCTION die()
"""


def test_a_database_that_goes_away_in_the_middle_of_an_import_leaves_nothing_half_done(
    filled: Market, group: str
) -> None:
    """The connection is lost between the positions and their entries in the ledger; afterwards it can be run again."""
    filled.execute(DYING)
    arguments = ("offsets", "import", "trades", "--from-group", group, "--yes")

    done = filled.sink(*arguments)

    assert done.returncode == 3
    assert "trades: " in done.stderr
    assert "are set all together or not at all; run the command again" in done.stderr
    assert "Traceback" not in done.stderr
    assert positions(filled) == {}
    assert filled.rows("SELECT count(*) FROM sink.flushes") == [(0,)]
    assert filled.rows("SELECT count(*) FROM sink.sinks") == [(0,)]

    filled.execute("DROP TRIGGER die ON sink.flushes")
    assert filled.sink(*arguments).returncode == 0
    assert set(positions(filled)) == {1, 2, 3}, "those that the group has commits of"
    assert chain_is_whole(plain_engine(filled.writer_url))


def test_an_export_moves_running_replicas_when_it_is_imported_and_the_reader_may_look(
    markets: Markets, filled: Market
) -> None:
    filled.caught_up("trades")
    reader = {"DATABASE_URL": filled.url_of("sink_reader")}
    file = filled.directory / "offsets.json"
    assert filled.sink("offsets", "export", "--output", "offsets.json", **reader).returncode == 0
    at_the_end = positions(filled)
    (filled.directory / "theirs.json").write_bytes(file.read_bytes())
    rewound = json.loads(file.read_text())
    rewound["sinks"][0]["positions"] = dict.fromkeys(rewound["sinks"][0]["positions"], 0)
    file.write_text(json.dumps(rewound))
    with pytest.raises(ConfigError, match="--overwrite"):
        planned(
            DATASETS["trades"],
            settings_of(filled),
            from_file(file, brokers_of(filled), [source_of(filled)]),
            brokers_of(filled),
            only=set(),
            overwrite=False,
        )

    before = filled.table("trades")
    filled.execute("DELETE FROM trades")
    with filled.start("run", "trades") as process:
        process.until(lambda: set(filled.owners().values()) == {process.pid}, "it owns the partitions")
        moved = summary(filled, "offsets", "import", "trades", "--from-file", "offsets.json", "--overwrite", "--yes")
        process.until(lambda: filled.table("trades") == before, "all is read again")
        process.until(lambda: positions(filled) == at_the_end, "it stands at the end again")
        shown = parts(summary(filled, "offsets", "show", "trades", **reader))
    assert {part["kind"] for part in moved["datasets"][0]["partitions"]} <= {"rewind", "none"}
    assert {part["before"] for part in moved["datasets"][0]["partitions"]} == set(at_the_end.values())
    assert {number: part["position"] for number, part in shown.items()} == at_the_end
    assert chain_is_whole(plain_engine(filled.administrator_url))
    assert filled.rows("SELECT sum(messages) FROM sink.flushes") == [(2 * COUNT,)]

    other = markets.make(like=filled)  # another sink on the same topic takes over where this one stands
    assert summary(other, "offsets", "import", "--from-file", "theirs.json", "--yes")["datasets"]
    assert positions(other) == at_the_end


def test_times_say_when_the_next_message_was_recorded(filled: Market, group: str) -> None:
    given, one = import_of(filled, group)
    adopt([one], given)
    one.adopter.close()
    shown = parts(summary(filled, "offsets", "show", "trades", "--times"))
    lagging = {number: part for number, part in shown.items() if part["position"] is not None and part["lag"]}
    assert lagging
    for part in lagging.values():
        recorded = datetime.fromisoformat(part["next_recorded_at"])
        assert abs(recorded - datetime.now(UTC)) < timedelta(minutes=10)
    assert shown[0]["next_recorded_at"] is None
