"""Alive is whose loops make progress; ready is whom nothing keeps from writing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sink.http.health import SILENT, hanging, ready, reasons
from sink.view import PartitionView, Service
from tests.views import READY


def codes(**changed: Any) -> list[str]:
    return [reason.code for reason in reasons(replace(READY, **changed))]


def test_a_loop_is_dead_after_a_minute_without_a_step() -> None:
    assert hanging({"trades": SILENT, "funding": SILENT + 0.1}) == ["funding"]


def test_reading_partitions_and_answering_services_make_ready() -> None:
    assert codes() == []
    assert ready([READY, READY])
    assert not ready([READY, replace(READY, phase="halted")])


def test_a_replica_without_partitions_is_ready_once_the_group_has_said_so() -> None:
    assert codes(partitions=(), joined=True) == []
    assert codes(partitions=(), joined=False) == ["not_assigned"]


@pytest.mark.parametrize("state", ["waiting", "claiming"])
def test_partitions_that_are_not_claimed_yet_make_not_ready(state: str) -> None:
    waiting = PartitionView(partition=0, state=state)
    assert codes(partitions=(waiting,)) == ["not_claimed"]
    assert codes(partitions=(waiting, READY.partitions[0])) == [], "one that changes hands keeps nobody from the others"


@pytest.mark.parametrize("service", ["kafka", "database", "registry"])
def test_a_service_that_did_not_answer_makes_not_ready_with_what_it_said(service: Service) -> None:
    found = reasons(replace(READY, connected={**READY.connected, service: False}, waiting_for="no answer at db:5432"))
    assert [(one.code, one.message) for one in found] == [(service, "no answer at db:5432")]


def test_a_service_that_was_never_asked_is_no_reason() -> None:
    assert codes(connected={"kafka": True, "database": None, "registry": None}) == []


def test_halts_say_why() -> None:
    assert reasons(replace(READY, phase="halted", failure="mend the producer"))[0].message == "mend the producer"
    halted = PartitionView(partition=4, state="halted", reason="offset 7 is gone")
    (reason,) = reasons(replace(READY, partitions=(*READY.partitions, halted)))
    assert (reason.code, reason.message) == ("partition_halted", "partition 4: offset 7 is gone")


def test_a_start_says_what_it_waits_for_and_nothing_else() -> None:
    away = replace(READY, connected={"database": False}, partitions=(), joined=False)
    (reason,) = reasons(replace(away, phase="starting", waiting_for="the database is starting"))
    assert (reason.code, reason.message) == ("starting", "the database is starting")


def test_a_process_that_stops_is_not_ready_and_one_that_is_done_is() -> None:
    assert codes(phase="stopping") == ["stopping"]
    assert codes(phase="ended", partitions=(), joined=False, connected={"kafka": False}) == []
