"""Which offsets may be taken over, and what that does to positions."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest

from sink.adoption import Adopter, Step, plan, refuse_moves
from sink.cli.offsets_import import Given, Import, adopt
from sink.datasets import DATASETS
from sink.errors import ConfigError, SinkError, TransientError
from sink.kafka.log import Identity
from sink.ledger import Source

LOGS = {0: (10, 100), 1: (0, 0), 2: (5, 50)}


def planned(wanted: dict[int, int], stored: dict[int, int]) -> list[Step]:
    return plan(wanted, LOGS, stored, topic="market.trades", origin="group connect-x")


def test_each_partition_is_new_moved_left_or_as_it_was() -> None:
    steps = planned({0: 60, 1: 0, 2: 20}, {0: 70, 1: 0})
    assert [(step.partition, step.before, step.after, step.kind) for step in steps] == [
        (0, 70, 60, "rewind"),
        (1, 0, 0, "none"),
        (2, None, 20, "new"),
    ]
    (moved, same, left) = planned({0: 80, 1: 0}, {0: 70, 1: 0})
    assert (moved.kind, same.kind, left.kind, left.after) == ("skip", "none", "none", None)


def test_a_partition_with_a_position_that_nobody_wants_to_move_is_not_mentioned() -> None:
    assert [step.partition for step in planned({0: 60}, {0: 70, 1: 0, 2: 6})] == [0]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({0: 101}, r"market\.trades/0: group connect-x stands at offset 101, beyond the log, which is \[10, 100\)"),
        ({2: 4}, r"market\.trades/2: .* offset 4, which Kafka no longer has: .* messages \[4, 5\) are gone"),
        ({0: 50, 3: 1, 7: 1}, r"group connect-x has offsets of partition 3, 7, but market\.trades has only 0, 1, 2"),
    ],
)
def test_what_the_log_does_not_have_is_refused(wanted: dict[int, int], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(wanted, {})


def test_the_ends_of_the_log_may_be_taken_over() -> None:
    assert [step.kind for step in planned({0: 10, 1: 0, 2: 50}, {})] == ["new"] * 3


def test_positions_that_there_are_move_only_if_that_is_said() -> None:
    refuse_moves(planned({0: 60, 1: 0}, {1: 0}), sink_id="sink.trades")
    with pytest.raises(ConfigError, match=r"sink\.trades has positions of its own for partition 0, 2; .* --overwrite"):
        refuse_moves(planned({0: 60, 2: 20}, {0: 50, 2: 30}), sink_id="sink.trades")


class Adopted(Adopter):
    """Writes nothing, and fails where it is told to."""

    def __init__(self, dataset: str, error: SinkError | None = None) -> None:
        source = Source(sink_id=f"sink.{dataset}", topic=f"market.{dataset}")
        super().__init__(dataset=DATASETS[dataset], source=source, owner="me", connect=open_nothing)
        self.error = error
        self.called = 0

    def adopt(self, steps: Sequence[Step], identity: Identity, *, reason: str) -> None:
        del steps, identity, reason
        self.called += 1
        if self.error is not None:
            raise self.error


def open_nothing() -> psycopg.Connection:
    raise AssertionError("nothing is to be opened")


def test_an_import_that_breaks_off_says_which_datasets_are_done() -> None:
    given = Given(origin="group g", cluster_id="c", offsets={}, topic_ids={})
    identity = Identity(cluster_id="c", topic_id="t")
    step = Step(partition=0, before=None, after=4, log=(0, 9))
    adopters = {
        "funding": Adopted("funding"),
        "trades": Adopted("trades", TransientError("away")),
        "candles_1m": Adopted("candles_1m"),
    }
    imports = [
        Import(dataset=name, source=Source(sink_id=name, topic=name), steps=[step], identity=identity, adopter=one)
        for name, one in adopters.items()
    ]

    with pytest.raises(TransientError, match=r"^funding: done\. trades: away\. Its positions are set all together"):
        adopt(imports, given)

    assert [one.called for one in adopters.values()] == [1, 1, 0]
