"""Hears from Kafka's client itself how it stands with the brokers: whether it knows any, speaks to one, is a member.

A broker that is just starting answers for a moment as if its cluster had no brokers. librdkafka from 2.10 on then
forgets those that it knew, at times also the ones it was configured with, and stays silent for ever (its issue 5301):
no error, no rebalance, and a lag of 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_REPORTS = 2
"""Reports in a row without a broker that are believed; between brokers a client may know none for an instant."""
_MADE_UP = frozenset({"logical", "internal"})
"""Kinds of brokers that only stand for something, such as the group's coordinator."""


_IDLE_AFTER = 10_000
"""Milliseconds with a coordinator after which a member of the newer protocol that heard of no partition has none."""


class Contact:
    """Hears librdkafka's statistics, and tells what follows from them."""

    def __init__(self) -> None:
        self.connected: bool | None = None
        """Whether a connection to a broker is up, as last reported; None before the first report."""
        self.joined = False
        """Whether the group has told us what is ours, be it nothing."""
        self.commits: Mapping[int, int] = {}
        """The group's commits by partition, as far as the client knows them."""
        self._reports_without = 0

    @property
    def lost(self) -> bool:
        """Whether the client has forgotten every broker."""
        return self._reports_without >= _REPORTS

    def hear(self, statistics: str) -> None:
        """Take one report, JSON as librdkafka's STATISTICS.md describes it."""
        told = json.loads(statistics)
        brokers = [broker for broker in told["brokers"].values() if broker["source"] not in _MADE_UP]
        self._reports_without = 0 if brokers else self._reports_without + 1
        self.connected = any(broker.get("state") == "UP" for broker in brokers)
        self.joined = _joined(told.get("cgrp", {}))
        self.commits = {
            int(number): partition["committed_offset"]
            for topic in told.get("topics", {}).values()
            for number, partition in topic["partitions"].items()
            if partition["committed_offset"] >= 0
        }

    def begin_anew(self) -> None:
        """Forget the reports of a client that was replaced."""
        self._reports_without = 0
        self.connected = self.joined = False


def _joined(group: Mapping[str, Any]) -> bool:
    """Whether the group has told us what is ours.

    By the newer rebalance protocol a member without partitions is told nothing at all: it stays in its first state for
    as long as it has none, with heartbeats that its coordinator answers.
    """
    if group.get("join_state") == "init":
        return bool(group.get("state") == "up" and group.get("stateage", 0) >= _IDLE_AFTER)
    return bool(group.get("join_state") == "steady")
