"""Notices that Kafka's client knows no broker any more, and so would never ask one again.

A broker that is just starting answers for a moment as if its cluster had no brokers. librdkafka from 2.10 on then
forgets those that it knew, at times also the ones it was configured with, and stays silent for ever (its issue 5301):
no error, no rebalance, and a lag of 0.
"""

from __future__ import annotations

import json

_REPORTS = 2
"""Reports in a row without a broker that are believed; between brokers a client may know none for an instant."""
_MADE_UP = frozenset({"logical", "internal"})
"""Kinds of brokers that only stand for something, such as the group's coordinator."""


class Contact:
    """Hears librdkafka's statistics, and tells what follows from them."""

    def __init__(self) -> None:
        self._reports_without = 0

    @property
    def lost(self) -> bool:
        """Whether the client has forgotten every broker."""
        return self._reports_without >= _REPORTS

    def hear(self, statistics: str) -> None:
        """Take one report, JSON as librdkafka's STATISTICS.md describes it."""
        brokers = json.loads(statistics)["brokers"].values()
        known = any(broker["source"] not in _MADE_UP for broker in brokers)
        self._reports_without = 0 if known else self._reports_without + 1

    def begin_anew(self) -> None:
        """Forget the reports of a client that was replaced."""
        self._reports_without = 0
