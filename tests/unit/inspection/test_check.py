"""Probes run side by side; settings and registry are judged."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable

import pytest

from sink.avro.schemas import shipped_schema
from sink.errors import TransientError
from sink.inspection import check
from sink.inspection.check import Probe
from sink.inspection.check_registry import SubjectFacts, judge, unreadable
from sink.inspection.check_settings import judge as judge_settings
from sink.inspection.findings import Finding, Group, State

TRADES = shipped_schema("trades")


def test_one_server_that_hangs_or_is_away_does_not_hide_the_others() -> None:
    forever = threading.Event()

    def hang() -> Iterable[Finding]:
        forever.wait()
        return []

    def fail() -> Iterable[Finding]:
        raise TransientError("nobody answers; start it")

    def look() -> Iterable[Finding]:
        return [Group("c").ok("c", "fine")]

    probes = [
        Probe(group=Group(name), subject=name, look=call) for name, call in zip("abc", (hang, fail, look), strict=True)
    ]
    found = check.run(probes, timeout=0.2, grace=0.0)
    forever.set()
    assert [(one.group, one.state) for one in found] == [
        ("a", State.FAILURE),
        ("b", State.FAILURE),
        ("c", State.OK),
    ]
    assert "does not answer in time" in found[0].found
    assert found[1].found == "nobody answers; start it"


def test_a_fault_of_the_check_itself_is_no_finding() -> None:
    with pytest.raises(ZeroDivisionError):
        check.run([Probe(group=Group("a"), subject="a", look=lambda: [] * (1 // 0))], timeout=1)


def test_schemas_that_resolve_to_ours_are_readable() -> None:
    later = {"name": "venue", "type": ["null", "string"], "default": None}
    assert unreadable(json.dumps(TRADES.json | {"fields": [*TRADES.json["fields"], later]}), TRADES) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "record", "name": "Other", "fields": []},
        TRADES.json | {"fields": [field for field in TRADES.json["fields"] if field["name"] != "price"]},
        "nonsense",
    ],
)
def test_schemas_that_do_not_are_named(schema: object) -> None:
    assert unreadable(json.dumps(schema), TRADES) is not None


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (SubjectFacts(subject="s", version=3, registered=True), State.OK),
        (SubjectFacts(subject="s", version=None), State.WARNING),
        (SubjectFacts(subject="s", version=3, compatible=False), State.WARNING),
        (SubjectFacts(subject="s", version=3, unreadable="no field price"), State.FAILURE),
    ],
)
def test_a_subject_is_judged(facts: SubjectFacts, state: State) -> None:
    (finding,) = judge([facts])
    assert finding.state is state


@pytest.mark.parametrize(
    ("kafka", "timeouts", "state"),
    [
        ({}, (60.0, 15.0), State.OK),
        ({}, (90.0, 15.0), State.WARNING),
        ({"max.poll.interval.ms": "60000"}, (60.0, 15.0), State.WARNING),
        ({"max.poll.interval.ms": "6000", "session.timeout.ms": "6001"}, (1.0, 0.5), State.FAILURE),
        ({"max.poll.interval.ms": "6000", "group.protocol": "consumer"}, (1.0, 0.5), State.OK),
    ],
)
def test_time_outs_are_held_against_the_groups_patience(
    kafka: dict[str, str], timeouts: tuple[float, float], state: State
) -> None:
    statement, lock = timeouts
    (finding,) = judge_settings(kafka, statement_timeout=statement, lock_timeout=lock, exposed=[])
    assert finding.state is state
