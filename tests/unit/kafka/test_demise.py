"""A client that has given up is replaced, later and later; one whose name another process has taken is not."""

from __future__ import annotations

import pytest

from sink.errors import DefinitionError
from sink.kafka.demise import FIRST_WAIT, LONGEST_WAIT, Demise

STATIC = {"group.instance.id": "sink-0"}


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def waits(demise: Demise, clock: Clock, times: int) -> list[float]:
    found = []
    for _ in range(times):
        demise.hear("it is still used")
        began = clock.now
        while not demise.over:
            clock.now += 0.5
        found.append(clock.now - began)
    return found


def test_a_client_that_lives_is_left_alone() -> None:
    assert not Demise({}).over


@pytest.mark.parametrize("options", [{}, {**STATIC, "group.protocol": "consumer"}])
def test_a_new_client_is_due_after_ever_longer_waits_and_only_once_each(options: dict[str, str]) -> None:
    clock = Clock()
    demise = Demise(options, clock)
    assert waits(demise, clock, 6) == [FIRST_WAIT, 4, 8, 16, LONGEST_WAIT, LONGEST_WAIT]
    assert not demise.over


def test_the_waits_are_short_again_once_a_client_has_joined() -> None:
    clock = Clock()
    demise = Demise({}, clock)
    waits(demise, clock, 3)
    demise.joined()
    assert waits(demise, clock, 1) == [FIRST_WAIT]


@pytest.mark.parametrize("protocol", [{}, {"group.protocol": "classic"}])
def test_a_member_thrown_out_by_its_namesake_does_not_come_back(protocol: dict[str, str]) -> None:
    demise = Demise(STATIC | protocol)
    with pytest.raises(DefinitionError, match=r"SINK_KAFKA__GROUP_INSTANCE_ID \(sink-0\).*a name of its own"):
        demise.hear("fenced")
    assert not demise.over
