"""Judges settings that fit each other or not: time-outs against the group's patience, open connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sink.inspection.findings import Finding, Group
from sink.transport import Exposed

_SETTINGS = Group("settings")
_MAX_POLL, _SESSION = 300_000, 45_000
"""librdkafka's defaults of max.poll.interval.ms and session.timeout.ms."""


def judge(
    kafka: Mapping[str, str], *, statement_timeout: float, lock_timeout: float, exposed: Sequence[Exposed]
) -> Iterator[Finding]:
    """Give the findings; time-outs in seconds, ``exposed`` says which connections are open to others."""
    for one in exposed:
        yield _SETTINGS.failure("connections", one.found, one.cure)
    longest = _milliseconds(kafka, "max.poll.interval.ms", _MAX_POLL) / 1000
    flush = statement_timeout + lock_timeout
    if flush > longest / 3:
        yield _SETTINGS.warning(
            "time-outs",
            f"a flush may take {flush:g} s, more than a third of max.poll.interval.ms ({longest:g} s): a slow database"
            " can cost us our partitions",
            "lower SINK_STATEMENT_TIMEOUT and SINK_LOCK_TIMEOUT, or raise SINK_KAFKA__MAX_POLL_INTERVAL_MS",
        )
    elif (
        kafka.get("group.protocol") != "consumer"
        and _milliseconds(kafka, "session.timeout.ms", _SESSION) > longest * 1000
    ):
        yield _SETTINGS.failure(
            "time-outs",
            "session.timeout.ms is longer than max.poll.interval.ms",
            "raise SINK_KAFKA__MAX_POLL_INTERVAL_MS, or lower SINK_KAFKA__SESSION_TIMEOUT_MS",
        )
    else:
        yield _SETTINGS.ok("time-outs", f"a flush may take {flush:g} s, max.poll.interval.ms is {longest:g} s")


def _milliseconds(kafka: Mapping[str, str], option: str, default: int) -> int:
    given = kafka.get(option, "")
    return int(given) if given.isdecimal() else default
