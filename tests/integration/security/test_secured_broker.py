"""Kafka behind TLS, passwords and grants: what works, what is refused and in which words, and that nothing leaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import ResourceType  # type: ignore[attr-defined] # the stub forgets to re-export it
from structlog.testing import capture_logs

from sink.datasets import DATASETS
from sink.db.repository import TradePayload
from sink.errors import DefinitionError, TransientError
from sink.kafka.admin import Topics, Wanted
from sink.kafka.consumer import TopicConsumer
from sink.kafka.deliver import Deliverer
from sink.kafka.logs import remarks
from sink.kafka.reach import hopeless, why_unreachable
from sink.producing import MarketProducer
from tests.fix_sink import Market, make_topics
from tests.integration.security.certificates import Authority
from tests.integration.security.registry_front import REGISTRY_PASSWORD, REGISTRY_USER, front
from tests.integration.security.secured import (
    CLIENT,
    DATABASE_PASSWORD,
    PLAIN_USER,
    SCRAM_PASSWORD,
    SCRAM_USER,
    SecuredBroker,
    SecuredDatabase,
    environment,
)
from tests.patience import ANSWER

TRADE = TradePayload(
    symbol="BTCUSDT",
    trade_ts=datetime.now(UTC),
    trade_id=1,
    price=Decimal(64_000),
    quantity=Decimal(1),
    is_buyer_maker=True,
)
REFUSED_COMMIT = ("offsets not committed to Kafka; the database has them", "warning")
OPERATOR = "operator"
PAYLOAD, WRONG = "MARKERPAYLOAD", "MARKER-wrong-e2b7"
JSON = {"SINK_LOG__FORMAT": "json"}


class Group:
    """Hears of partitions."""

    def __init__(self) -> None:
        self.partitions: list[int] = []

    def assigned(self, partitions: Sequence[int]) -> None:
        self.partitions += partitions

    def revoked(self, partitions: Sequence[int]) -> None:
        """Nothing to do."""

    def lost(self, partitions: Sequence[int]) -> None:
        """Nothing to do."""


def mutual(broker: SecuredBroker) -> dict[str, str]:
    client = broker.client
    return broker.options("mutual", ssl_certificate_location=str(client.certificate), ssl_key_location=str(client.key))


def oauth(broker: SecuredBroker) -> dict[str, str]:
    return broker.options(
        "sasl",
        sasl_mechanism="OAUTHBEARER",
        enable_sasl_oauthbearer_unsecure_jwt="true",
        sasl_oauthbearer_config="principal=oauth-user",
    )


WAYS: dict[str, tuple[str, Callable[[SecuredBroker], dict[str, str]]]] = {
    "PLAIN": (PLAIN_USER, lambda broker: broker.plain()),
    "SCRAM": (SCRAM_USER, lambda broker: broker.scram()),
    "OAUTHBEARER": ("oauth-user", oauth),
    "mutual TLS": (f"CN={CLIENT}", mutual),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_say_who_one_is_reads_and_commits(broker: SecuredBroker, way: str) -> None:
    user, options = WAYS[way]
    topic = broker.topic("READ", "WRITE", user=user)
    broker.grant(ResourceType.GROUP, topic, "READ", user=user)
    with MarketProducer(options(broker), topic_prefix=topic.removesuffix("trades")) as producer:
        producer.produce(TRADE)
    consumer, group = TopicConsumer(options=options(broker), topic=topic, group=topic), Group()
    consumer.subscribe(group)
    try:
        poll_until(consumer, lambda: bool(group.partitions))
        consumer.read_from(0, 0)
        assert poll_until(consumer, lambda: False, messages=1) == 1
        with capture_logs() as logs:
            consumer.commit_offsets({0: 1}, {})
            poll_until(consumer, lambda: 0 in consumer.committed([0]))
        assert logs == []
    finally:
        consumer.close(10)


def poll_until(
    consumer: TopicConsumer, condition: Callable[[], bool], *, messages: int = 0, faults: bool = False
) -> int:
    """Poll until a condition holds or this many messages came; gives their number. ``faults`` allows them."""
    until, got = time.monotonic() + 60, 0
    while not condition() and not (messages and got >= messages):
        assert time.monotonic() < until
        polled = consumer.poll(10, 0.05)
        assert faults or not polled.faults
        got += len(polled.messages)
    return got


REFUSALS: dict[str, tuple[str, Callable[[SecuredBroker, Authority], dict[str, str]]]] = {
    "unknown authority": (
        "signed by an authority that is not trusted here",
        lambda broker, stranger: broker.plain() | {"ssl.ca.location": str(stranger.certificate)},
    ),
    "other host": ("is for another host name", lambda broker, _: broker.options("elsewhere")),
    "expired": ("has expired", lambda broker, _: broker.options("expired")),
    "wrong password": ("refuses the login", lambda broker, _: broker.plain("wrong")),
    "no certificate of ours": ("wants a certificate of ours", lambda broker, _: broker.options("mutual")),
    "no TLS listener": (
        "is it a TLS listener?",
        lambda broker, _: broker.options("mutual") | {"bootstrap.servers": broker.address},
    ),
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_fault_39_what_prevents_a_secure_connection_is_named_with_its_cure(
    broker: SecuredBroker, stranger: Authority, fault: str
) -> None:
    words, options = REFUSALS[fault]
    refused = hopeless(options(broker, stranger))
    assert isinstance(refused, DefinitionError)
    assert words in str(refused)
    assert "SINK_KAFKA__" in str(refused)


def test_commands_that_ask_for_topics_say_what_tls_said(broker: SecuredBroker) -> None:
    options = broker.options("expired")
    with pytest.raises(DefinitionError, match="has expired"):
        Topics(options, timeout=0.5).check([Wanted(name="market.trades", partitions=1)])
    with pytest.raises(DefinitionError, match="has expired"), MarketProducer(options, timeout=0.5) as producer:
        producer.produce(TRADE)
    deliverer = Deliverer(options, "dead", timeout=0.5)
    with pytest.raises(DefinitionError, match="has expired"):
        deliverer.find_topic()


def test_fault_39_a_broker_that_is_away_is_waited_for() -> None:
    options = {"bootstrap.servers": "127.0.0.1:1", "security.protocol": "SSL"}
    assert isinstance(why_unreachable(options, patience=0.3), TransientError)


def test_fault_39_run_ends_at_its_start_with_the_cause(broker: SecuredBroker, market: Market) -> None:
    cases = {
        "has expired": broker.options("expired"),
        "refuses the login": broker.plain("wrong"),
    }
    with ExitStack() as started:
        ended = {
            words: started.enter_context(market.start("run", "trades", **JSON, **environment(options)))
            for words, options in cases.items()
        }
        for words, process in ended.items():
            assert process.end() == DefinitionError.exit_code, process.output
            last = process.output.splitlines()[-1]
            assert last.startswith("error: trades: "), process.output
            assert words in last


def test_fault_39_a_login_that_is_refused_while_running_is_tried_again(broker: SecuredBroker) -> None:
    """The same consumer goes on once the password is right, and has warned meanwhile."""
    topic = broker.topic("READ", user=SCRAM_USER)
    broker.grant(ResourceType.GROUP, topic, "READ", user=SCRAM_USER)
    options = broker.scram() | {"sasl.password": "not yet right", "reconnect.backoff.max.ms": "200"}
    consumer, group = TopicConsumer(options=options, topic=topic, group=topic), Group()
    consumer.subscribe(group)
    try:
        with capture_logs() as logs:
            poll_until(consumer, lambda: bool(logs), faults=True)
        assert {entry["log_level"] for entry in logs} == {"warning"}
        assert any("authentication" in str(entry).lower() for entry in logs)
        assert group.partitions == []
        broker.set_password("not yet right")
        poll_until(consumer, lambda: bool(group.partitions), faults=True)
    finally:
        consumer.close(10)
        broker.set_password()


def grants(broker: SecuredBroker, topic: str, *, on_topic: str | None, group: str | None) -> None:
    for kind, name, operation in ((ResourceType.TOPIC, topic, on_topic), (ResourceType.GROUP, group, "READ")):
        if name is not None and operation is not None:
            broker.grant(kind, name, operation)


def test_fault_38_a_missing_grant_halts_and_is_named(broker: SecuredBroker, market: Market) -> None:
    on_topic = "Grant the sink's user READ and DESCRIBE on topic {topic}"
    on_group = "Grant the sink's user READ on group {group}"
    cases = [(None, True, on_topic), ("DESCRIBE", True, on_topic), ("READ", False, on_group)]
    with ExitStack() as started:
        ended = []
        for number, (operation, with_group, words) in enumerate(cases):
            topic, prefix = broker.topic(), f"denied-{number}-{market.group}"
            group = f"{prefix}.trades"
            grants(broker, topic, on_topic=operation, group=group if with_group else None)
            variables = environment(broker.plain()) | {
                "SINK_TOPIC_PREFIX": topic.removesuffix("trades"),
                "SINK_GROUP_PREFIX": prefix,
            }
            process = started.enter_context(market.start("run", "trades", **JSON, **variables))
            ended.append((words.format(topic=topic, group=group), process))
        for words, process in ended:
            assert process.end() == DefinitionError.exit_code, process.output
            assert words in process.output.splitlines()[-1], process.output
    assert market.durable() == 0


def test_fault_38_a_refused_commit_is_told_and_nothing_else_stops(broker: SecuredBroker) -> None:
    """Assigned by hand, so that the commit is all that needs the grant which is missing."""
    topic = broker.topic("READ", "WRITE")
    broker.grant(ResourceType.GROUP, topic, "DESCRIBE")
    consumer = TopicConsumer(options=broker.plain(), topic=topic, group=topic)
    consumer._consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        with capture_logs() as logs:
            consumer.commit_offsets({0: 0}, {})
            poll_until(consumer, lambda: REFUSED_COMMIT in [(log["event"], log["log_level"]) for log in logs])
        with MarketProducer(broker.plain(), topic_prefix=topic.removesuffix("trades")) as producer:
            producer.produce(TRADE)
        assert poll_until(consumer, lambda: False, messages=1) == 1
    finally:
        consumer.close(10)


def secured_environment(
    broker: SecuredBroker, database: SecuredDatabase, registry: str, market: Market
) -> dict[str, str]:
    """Give everything that says how to reach servers behind TLS and passwords; the passwords are the markers."""
    return {
        **environment(broker.scram()),
        "DATABASE_URL": database.verified(OPERATOR),
        "SINK_REGISTRY__URL": registry,
        "SINK_REGISTRY__USER": REGISTRY_USER,
        "SINK_REGISTRY__PASSWORD": REGISTRY_PASSWORD,
        "SINK_REGISTRY__CA_LOCATION": str(broker.authority.certificate),
        "SINK_LOG__FORMAT": "json",
        "SINK_LOG__LEVEL": "debug",
        "SINK_TOPIC_PREFIX": market.prefix,
        "SINK_GROUP_PREFIX": market.group,
    }


@pytest.fixture
def secured(
    broker: SecuredBroker, tls_database: SecuredDatabase, registry_url: str, authority: Authority, market: Market
) -> Iterator[dict[str, str]]:
    """Give the environment of commands that work on servers behind TLS and passwords only."""
    with psycopg.connect(tls_database.administrator_url(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {OPERATOR} LOGIN SUPERUSER PASSWORD '{DATABASE_PASSWORD}'")
    make_topics(broker.address, [market.topic(name) for name in DATASETS], 1)
    for name in DATASETS:
        broker.grant(ResourceType.TOPIC, market.topic(name), "READ", "WRITE", user=SCRAM_USER)
        broker.grant(ResourceType.GROUP, f"{market.group}.{name}", "READ", user=SCRAM_USER)
    with front(registry_url, authority.issue("secret-registry", "localhost")) as registry:
        yield secured_environment(broker, tls_database, registry, market)


def test_everything_works_behind_tls_and_nothing_secret_and_no_payload_is_told(
    broker: SecuredBroker, tls_database: SecuredDatabase, market: Market, secured: dict[str, str]
) -> None:
    """Every command at debug level, with good and bad messages, wrong passwords and a halted dataset."""
    said = Said(market, secured)
    produce = ("produce", "--simulate", "--duration", "2m", "--symbols", PAYLOAD)
    said.commands((0, ("config",), {}), (0, ("migrate",), {}), (0, produce, {}))
    with MarketProducer(broker.scram(), topic_prefix=market.prefix) as producer:
        producer.produce(replace(TRADE, symbol=PAYLOAD))
    hostile = Producer({"bootstrap.servers": broker.address}, logger=remarks(__name__))
    for value in (PAYLOAD.encode(), b"\xc3\x01" + PAYLOAD.encode() * 3, b"\x00\x00\x00\x00\x01" + PAYLOAD.encode()):
        hostile.produce(market.topic("trades"), value, PAYLOAD.encode(), headers={"h": PAYLOAD})
    assert hostile.flush(ANSWER) == 0
    said.commands((0, ("run", "--until-caught-up"), {}))
    with psycopg.connect(tls_database.administrator_url("ingestion"), autocommit=True) as connection:
        rows = connection.execute("SELECT count(*) FROM trades WHERE symbol = %s", [PAYLOAD]).fetchone()
        kept = connection.execute("SELECT count(*) FROM sink.quarantine").fetchone()
        assert rows is not None
        assert rows[0] > 1
        assert kept == (3,)
        wrong_sasl = {"SINK_KAFKA__SASL_PASSWORD": WRONG}
        said.commands(
            (0, ("check",), {}),
            (4, ("check", "--json"), wrong_sasl),
            (4, ("run", "trades"), wrong_sasl),
            (2, ("migrate",), {"DATABASE_URL": secured["DATABASE_URL"].replace(DATABASE_PASSWORD, WRONG)}),
            (4, ("schemas", "check"), {"SINK_REGISTRY__PASSWORD": WRONG}),
        )
        # a row that the database refuses for its definition: the dataset halts, and the server's words quote the row
        connection.execute("ALTER TABLE trades ADD COLUMN unknown int NOT NULL DEFAULT 0")
        connection.execute("ALTER TABLE trades ALTER COLUMN unknown DROP DEFAULT")
    with MarketProducer(broker.scram(), topic_prefix=market.prefix) as producer:
        producer.produce(replace(TRADE, symbol=PAYLOAD, trade_id=2))
    said.commands((4, ("run", "trades", "--until-caught-up"), {}))
    for marker in (DATABASE_PASSWORD, SCRAM_PASSWORD, REGISTRY_PASSWORD, WRONG, PAYLOAD):
        assert marker not in said.everything, said.where(marker)
    assert said.sightings > 5


class Said:
    """All that commands have written, and what /proc showed of their arguments meanwhile."""

    def __init__(self, market: Market, variables: dict[str, str]) -> None:
        self._market, self._variables = market, variables
        self.everything = ""
        self.sightings = 0

    def commands(self, *commands: tuple[int, tuple[str, ...], dict[str, str]]) -> None:
        """Run commands beside each other; each must end with its code."""
        with ExitStack() as started:
            running = [
                (code, words, started.enter_context(self._market.start(*words, **(self._variables | variables))))
                for code, words, variables in commands
            ]
            for _, _, process in running:
                # the symbol is an argument of `sink produce`, as a person would give it; passwords never are
                self.everything += Path(f"/proc/{process.pid}/cmdline").read_text().replace(PAYLOAD, "")
                self.sightings += 1
            for code, words, process in running:
                assert process.end() == code, process.output
                self.everything += f"\n$ sink {words[0]}\n{process.output}"

    def where(self, marker: str) -> str:
        """Give the lines that a marker stands in."""
        return "\n".join(line for line in self.everything.splitlines() if marker in line)
