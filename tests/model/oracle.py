"""What the tables must hold, worked out from the log alone, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from sink.datasets import Dataset
from tests.model.log import Topic
from tests.model.material import REASONS, Told, row_of
from tests.model.store import Row, Store


def differences(topic: Topic, store: Store) -> list[str]:
    """Say everything in which the database differs from what the log demands; empty where it is right."""
    return [
        *_in_rows(expected_rows(topic), store.rows(topic.dataset)),
        *_in_quarantine(topic, store),
        *_in_ledger(topic, store.ledger()),
        *topic.trespasses,
    ]


def expected_rows(topic: Topic) -> list[Row]:
    """Give the rows with lineage by key: of every key the version with the greatest order tuple."""
    newest: dict[tuple[Any, ...], Told] = {}
    for told in topic.everything():
        if told.fault:
            continue
        key = _key(told, topic.dataset)
        if key not in newest or _order(told) > _order(newest[key]):
            newest[key] = told
    return [
        (*row_of(told, topic.dataset).values(), told.at, told.partition, told.offset)
        for _, told in sorted(newest.items(), key=lambda item: item[0])
    ]


def _key(told: Told, dataset: Dataset) -> tuple[Any, ...]:
    row = row_of(told, dataset)
    return tuple(row[name] for name in dataset.key)


def _order(told: Told) -> tuple[Any, ...]:
    return told.at, told.offset, told.partition


def _in_rows(expected: Sequence[Row], found: Sequence[Row]) -> Iterator[str]:
    for row in sorted(set(expected) - set(found), key=str):
        yield f"row missing: {_shown(row)}"
    for row in sorted(set(found) - set(expected), key=str):
        yield f"row too much: {_shown(row)}"
    if not set(expected) ^ set(found) and len(expected) != len(found):
        yield f"{len(found)} rows instead of {len(expected)}"


def _in_quarantine(topic: Topic, store: Store) -> Iterator[str]:
    """Every message that cannot become a row, whole. One that only the database refuses need not have met it.

    It may have given way, in its batch, to a newer version of its row. The newest of all versions cannot have.
    """
    found = store.quarantined()
    told = {(one.partition, one.offset): one for one in topic.everything() if one.fault}
    for place in sorted(found.keys() - told.keys()):
        yield f"in quarantine without fault: {place}"
    for place, one in sorted(told.items()):
        wanted = (
            REASONS[one.fault],
            "23514" if one.fault == "refused" else None,
            str(one.key).encode(),
            one.raw,
            None if one.fault == "untimed" else one.at,
            None,
        )
        if place in found:
            if found[place] != wanted:
                yield f"quarantine {place}: {_shown(found[place])} instead of {_shown(wanted)}"
        elif one.fault != "refused" or _is_newest(one, topic):
            yield f"not in quarantine: {place}, {one.fault}"


def _is_newest(refused: Told, topic: Topic) -> bool:
    key = _key(refused, topic.dataset)
    rivals = [one for one in topic.everything() if one.fault in {"", "refused"} and _key(one, topic.dataset) == key]
    return max(rivals, key=_order) is refused


def _in_ledger(topic: Topic, ledger: Sequence[Row]) -> Iterator[str]:
    """Every offset accounted for, claims in order (a later one fences an earlier one for ever), and sums that agree."""
    for partition, end in topic.ends.items():
        chain = [row for row in ledger if row[0] == partition]
        if (chain[0][1] if chain else 0) != 0:
            yield f"ledger of {partition} begins at {chain[0][1]}"
        if (chain[-1][2] if chain else 0) != end:
            yield f"ledger of {partition} ends at {chain[-1][2] if chain else 0} instead of {end}"
        for before, after in pairwise(chain):
            if before[2] != after[1]:
                yield f"ledger of {partition}: after {before[1:3]} comes {after[1:3]}"
            if before[4] > after[4]:
                yield f"ledger of {partition}: claim {before[4]} was followed by the older claim {after[4]}"
        for _, start, to, kind, _, messages, sum_ in chain:
            there = sum(start <= one.offset < to for one in topic.told[partition]) if kind == "flush" else 0
            if messages != there or messages != sum_:
                yield f"ledger of {partition} {kind} [{start}, {to}): {there} messages, {messages} counted as {sum_}"


def _shown(row: Row) -> str:
    return " ".join("-" if value is None else str(value) for value in row)
