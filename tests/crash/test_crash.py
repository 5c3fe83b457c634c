"""kill -9 at every named step of claim, flush and rebalance; after a restart everything is as without."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from sink.kafka.logs import remarks
from tests.chaos.compare import Findings, compare
from tests.chaos.messages import CONSTRAINT, DATASET, Maker
from tests.chaos.producing import producer_of, send
from tests.chaos.truth import Truth
from tests.children import Child, Nursery
from tests.crash.steps import CLAIM, FLUSH, REVOKE, REWIND, STEPS
from tests.crash.victim import Strike
from tests.fix_sink import PARTITIONS, Market, Markets, wait_until
from tests.fix_stack import Servers
from tests.patience import ANSWER

MESSAGES = 400
GOOD = 100
AT_ONCE = 4
"""Cases under way at the same time: each spends most of it waiting for its group."""
VARIABLES = {
    "SINK_LOG__FORMAT": "json",
    "SINK_BATCH__MAX_ROWS": "60",
    "SINK_BATCH__MAX_AGE": "0.2",
    # the group takes a killed member for alive until its session has ended
    "SINK_KAFKA__SESSION_TIMEOUT_MS": "1500",
    "SINK_KAFKA__HEARTBEAT_INTERVAL_MS": "300",
}
KEPT_BACK = {"SINK_BATCH__MAX_AGE": "600", "SINK_BATCH__MAX_ROWS": "150"}
"""So that there is something left to flush when partitions are revoked."""
LATER = {"flush: before it begins": 3, "flush: locked": 2, "flush: half copied": 3, "flush: advanced": 3}
"""The how manyeth time a process is struck at a step; the others at the second or, where it comes once, the first."""
ONCE = (*CLAIM, *REWIND, *REVOKE, "flush: copied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one case."""

    killed: int | None
    """How the victim ended."""
    said: str
    durable: int
    """Offsets that were durable when it did."""
    restarted: int
    output: str
    findings: Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all cases share: the topics of one market, its truth, and the nursery."""

    market: Market
    truth: Truth
    nursery: Nursery

    def start(self, market: Market, *arguments: str, strike: Strike | None = None, **variables: str) -> Child:
        """Start ``sink ARGUMENTS`` on a market."""
        environment = market.environment(VARIABLES | variables)
        return self.nursery.start(*arguments, environment=environment, strike=strike)

    def caught_up(self, market: Market) -> Child:
        """Run the sink until everything is durable."""
        child = self.start(market, "run", DATASET, "--until-caught-up")
        child.end()
        return child

    def compare(self, market: Market) -> Findings:
        """Compare a market's database with the topic."""
        with psycopg.connect(market.administrator_url.replace("+psycopg", "")) as connection:
            connection.execute("SET timezone = 'UTC'")
            return compare(
                self.truth, connection, sink_id=f"{market.group}.{DATASET}", topic=self.market.topic(DATASET)
            )


def strike_at(step: str) -> Strike:
    """Say when a process is struck at a step."""
    return Strike(step=step, nth=LATER.get(step, 1 if step in ONCE else 2), signal=signal.SIGKILL)


def in_mid_stream(ground: Ground, market: Market, step: str) -> Child:
    """Have one process struck while it claims or flushes."""
    victim = ground.start(market, "run", DATASET, strike=strike_at(step))
    victim.end()
    return victim


def while_rewinding(ground: Ground, market: Market, step: str) -> Child:
    """Have one process struck while it follows an operator's wish to rewind."""
    ground.caught_up(market)
    consumer = Consumer(
        {"bootstrap.servers": market.servers.bootstrap_servers, "group.id": f"{market.group}.{DATASET}"},
        logger=remarks(__name__),
    )
    consumer.commit(offsets=[TopicPartition(market.topic(DATASET), 1, 7)], asynchronous=False)
    consumer.close()
    return in_mid_stream(ground, market, step)


def while_a_rival_joins(ground: Ground, market: Market, step: str) -> Child:
    """Have one process struck while it hands partitions over to another, with messages that are not flushed yet."""
    victim = ground.start(market, "run", DATASET, strike=strike_at(step), **KEPT_BACK)
    wait_until(lambda: market.durable() > 0, "the victim has flushed something")
    rival = ground.start(market, "run", DATASET)
    victim.end()
    wait_until(lambda: market.durable() == MESSAGES, "the rival has taken everything over")
    rival.signal(signal.SIGTERM)
    assert rival.end() == 0, rival.output
    return victim


def play(ground: Ground, market: Market, step: str) -> Outcome:
    """Strike a process at a step, look, start another, compare."""
    market.execute(CONSTRAINT)
    scene: Callable[[Ground, Market, str], Child] = in_mid_stream
    if step in REWIND:
        scene = while_rewinding
    elif step in REVOKE:
        scene = while_a_rival_joins
    victim = scene(ground, market, step)
    durable = market.durable()
    again = ground.caught_up(market)
    return Outcome(
        killed=victim.ended,
        said=victim.output,
        durable=durable,
        restarted=again.end(),
        output=again.output,
        findings=ground.compare(market),
    )


@pytest.fixture(scope="module")
def outcomes(
    stack: Servers,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
    nursery: Nursery,
    request: pytest.FixtureRequest,
) -> Iterator[Mapping[str, Outcome]]:
    """Play the cases of all chosen tests side by side: one after the other they would wait most of the time."""
    directory = tmp_path_factory.mktemp("crash")
    chosen = [
        str(item.callspec.params["step"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and "step" in item.callspec.params
    ]
    with Markets(stack, template_database, directory, nursery) as markets:
        market = markets.make()
        producer = producer_of(stack.bootstrap_servers)
        maker = Maker(random.Random(5), partitions=PARTITIONS, now=datetime.now(UTC))
        # good ones first: one refused row among them would keep the first flush from the fast path
        send(producer, market.topic(DATASET), islice((made for made in maker if made.reason is None), GOOD))
        send(producer, market.topic(DATASET), islice(maker, MESSAGES - GOOD))
        assert producer.flush(ANSWER) == 0
        truth = Truth()
        truth.read(stack.bootstrap_servers, market.topic(DATASET), PARTITIONS)
        assert truth.messages == MESSAGES
        ground = Ground(market=market, truth=truth, nursery=nursery)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            played = {step: threads.submit(play, ground, markets.make(like=market), step) for step in chosen}
            yield {step: future.result() for step, future in played.items()}


@pytest.mark.parametrize("step", STEPS)
def test_fault_41_killed_at_any_step_nothing_is_lost_doubled_or_regressed(
    step: str, outcomes: Mapping[str, Outcome]
) -> None:
    outcome = outcomes[step]

    assert outcome.killed == -signal.SIGKILL, f"it was to die at '{step}', and did not: {outcome.said}"
    assert f'"struck", "step": "{step}"' in outcome.said
    assert outcome.restarted == 0, outcome.output
    assert not outcome.findings, str(outcome.findings)
    if step in FLUSH:
        assert outcome.durable < MESSAGES, "it died only after its work was done"
