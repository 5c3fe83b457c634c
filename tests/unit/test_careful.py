"""Messages that end or exhaust the process are found by what it left behind, and cost nobody else anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sink.batch import MESSAGE, Decoded, Messages
from sink.breadcrumb import Breadcrumb, Stretch
from sink.careful import CRASHES, CarefulDecoder, DeadlyMessageError, OnCrash, SparingDecoder
from sink.cli import wiring
from sink.errors import TransientError
from sink.ledger import Source
from sink.settings import load
from tests.build import Told, decoded, messages

SCOPE = ("broker:1", "market.trades", "sink.trades")
TOLD = [Told(partition=number % 2, offset=number // 2, trade_id=number) for number in range(40)]


class Death(BaseException):
    """The process ends: nothing in it may catch this."""


class Deadly:
    """A decoder that meets its end, or its limits, at some places (partition, offset)."""

    def __init__(self, ends: dict[tuple[int, int], BaseException]) -> None:
        self.ends = ends
        self.sizes: list[int] = []

    def decode(self, given: Messages) -> Decoded:
        self.sizes.append(len(given))
        known = {(one.partition, one.offset): one for one in TOLD}
        places = list(zip(given.partitions, given.offsets, strict=True))
        for place in places:
            if place in self.ends:
                raise self.ends[place]
        return decoded([known[place] for place in places])


class Crumbs:
    """Starts of the sink, one after the other; a dead one leaves its file as it was at that moment."""

    def __init__(self, directory: Path, scope: Sequence[str] = SCOPE) -> None:
        self._directory = directory
        self._scope = scope
        self._open: list[Breadcrumb] = []

    def __call__(self, *scope: str) -> Breadcrumb:
        self._open.append(Breadcrumb(self._directory, *(scope or self._scope)))
        return self._open[-1]

    def die(self) -> None:
        """Do what the kernel does for a dead process."""
        for crumb in self._open:
            crumb.close()

    def end_at(self, place: tuple[int, int], times: int, *, told: Sequence[Told] = TOLD) -> None:
        """Start and die at a message, so many times."""
        for _ in range(times):
            crumb = self()
            # finally blocks do not run in a process that is killed, so the file is left before they can
            inner = Deadly({place: Death()})
            crumb.leave = lambda: None  # type: ignore[method-assign] # the dead do not write
            with pytest.raises(Death):
                CarefulDecoder(inner, crumb, on_crash="halt").decode(messages(told))
            self.die()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Crumbs]:
    crumbs = Crumbs(tmp_path)
    yield crumbs
    crumbs.die()


def careful(crumb: Breadcrumb, inner: Deadly, on_crash: OnCrash = "halt") -> CarefulDecoder:
    return CarefulDecoder(inner, crumb, on_crash=on_crash)


def test_an_ordinary_life_leaves_nothing_behind(start: Crumbs) -> None:
    inner = Deadly({})
    whole = careful(start(), inner).decode(messages(TOLD))
    start.die()

    assert inner.sizes == [40]
    assert whole.frame.equals(decoded(TOLD).frame)
    assert start().suspects == []


def test_after_a_death_the_stretch_is_decoded_one_by_one_and_then_no_more(start: Crumbs) -> None:
    start.end_at((0, 7), 1)
    crumb = start()
    assert crumb.suspects == [
        Stretch(partition=0, start=0, end=20, crashes=1),
        Stretch(partition=1, start=0, end=20, crashes=1),
    ]
    inner = Deadly({})
    subject = careful(crumb, inner)

    assert subject.decode(messages(TOLD)).frame.equals(decoded(TOLD).frame)
    assert inner.sizes == [*[1] * 40, 0]
    assert crumb.suspects == []
    inner.sizes.clear()
    subject.decode(messages(TOLD))
    assert inner.sizes == [40]


def test_the_second_death_names_the_offset_and_after_the_third_it_is_not_decoded_again(start: Crumbs) -> None:
    start.end_at((0, 7), 2)
    assert Stretch(partition=0, start=7, end=8, crashes=2) in start().suspects
    start.die()
    start.end_at((0, 7), CRASHES - 2)
    inner = Deadly({(0, 7): Death()})

    with pytest.raises(DeadlyMessageError, match=r"offset 7 of market.trades/0 .* SINK_ON_CRASH=quarantine") as caught:
        careful(start(), inner).decode(messages(TOLD))

    assert (caught.value.partition, caught.value.offset) == (0, 7)
    assert inner.sizes == []
    before = [one for one in TOLD if one.partition == 1 or one.offset < 7]
    start.die()
    assert careful(start(), inner).decode(messages(before)).frame.height == len(before)


def test_a_deadly_message_is_put_into_quarantine_where_that_is_set(start: Crumbs) -> None:
    start.end_at((0, 7), CRASHES)

    got = careful(start(), Deadly({(0, 7): Death()}), "quarantine").decode(messages(TOLD))

    assert [(bad.index, bad.reason) for bad in got.bad] == [(14, "crash")]
    assert got.frame["trade_id"].to_list() == [number for number in range(40) if number != 14]
    assert got.frame["message"].to_list() == [number for number in range(40) if number != 14]


def test_what_is_known_of_a_message_outlives_good_starts(start: Crumbs) -> None:
    start.end_at((1, 3), CRASHES)
    for _ in range(2):
        careful(start(), Deadly({})).decode(messages([one for one in TOLD if one.partition == 0]))
        start.die()

    assert start().crashes(1, 3) == CRASHES


@pytest.mark.parametrize("error", [MemoryError(), RecursionError()])
def test_fault_53_exhausted_by_one_message_the_others_pass(start: Crumbs, error: Exception) -> None:
    got = careful(start(), Deadly({(1, 3): error})).decode(messages(TOLD))

    assert [(bad.index, bad.reason) for bad in got.bad] == [(7, "decode")]
    assert got.frame["message"].to_list() == [number for number in range(40) if number != 7]


def test_fault_53_nothing_but_exhausting_messages_is_a_frame_without_rows(start: Crumbs) -> None:
    got = careful(start(), Deadly({(0, 0): MemoryError()})).decode(messages(TOLD[:1]))

    assert [bad.index for bad in got.bad] == [0]
    assert got.frame.schema == decoded(TOLD).frame.schema


def test_what_is_known_to_be_deadly_is_refused_without_being_decoded() -> None:
    inner = Deadly({(1, 3): Death()})
    found = SparingDecoder(inner, {(1, 3), (0, 99)}).decode(messages(TOLD))
    assert inner.sizes == [len(TOLD) - 1]
    (bad,) = found.bad
    assert (TOLD[bad.index].partition, TOLD[bad.index].offset, bad.reason) == (1, 3, "crash")
    assert found.frame[MESSAGE].to_list() == [index for index in range(len(TOLD)) if index != bad.index]


def test_a_command_that_only_looks_halts_at_nothing_and_spares_what_the_sink_keeps(tmp_path: Path) -> None:
    settings = load({"SINK_STATE_DIRECTORY": str(tmp_path)}, directory=tmp_path)
    source, inner = Source(sink_id="sink.trades", topic="market.trades"), Deadly({(0, 1): Death(), (1, 3): Death()})
    crumbs = Crumbs(tmp_path, (settings.kafka["bootstrap.servers"], source.topic, "sink.trades/verify"))
    crumbs.end_at((0, 1), CRASHES)

    looking = wiring.careful_onlooker(inner, settings, source, purpose="verify", deadly={(1, 3)})

    bad = looking.decode(messages(TOLD)).bad
    assert {(TOLD[one.index].partition, TOLD[one.index].offset) for one in bad} == {(0, 1), (1, 3)}


def test_a_registry_that_is_away_is_no_death(start: Crumbs) -> None:
    with pytest.raises(TransientError):
        careful(start(), Deadly({(0, 0): TransientError("away")})).decode(messages(TOLD))
    start.die()

    assert start().suspects == []


def test_two_processes_have_a_file_each_and_other_topics_another(start: Crumbs) -> None:
    paths = {start().path, start().path, start("broker:1", "market.funding", "sink.funding").path}
    assert len(paths) == 3
    start.die()
    assert start().path in paths


def test_a_replay_whose_group_has_a_slash_remembers_as_well(start: Crumbs, tmp_path: Path) -> None:
    crumb = start("cluster", "topic", "sink.trades/replay")
    crumb.enter([Stretch(partition=0, start=1, end=2, crashes=0)])
    start.die()
    assert crumb.path.parent == tmp_path
    assert start("cluster", "topic", "sink.trades/replay").crashes(0, 1) == 1


def test_a_file_of_something_else_is_no_reason_to_stop(start: Crumbs) -> None:
    for content in (b"", b"{", b"[1]\n", b'{"decoding": [[1]]}\n', b"\xff\xfe"):
        path = start().path
        start.die()
        path.write_bytes(content)
        crumb = start()
        assert crumb.suspects == []
        crumb.enter([Stretch(partition=0, start=1, end=2, crashes=0)])
        start.die()
        assert start().crashes(0, 1) == 1
        start.die()
        path.unlink()


def test_where_nothing_can_be_written_the_sink_runs_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    subject = careful(Breadcrumb(tmp_path / "file", *SCOPE), Deadly({}))

    assert subject.decode(messages(TOLD)).frame.height == 40
