"""Runs the probes of a check side by side, so that one dead server does not hide what is wrong with the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sink.errors import SinkError
from sink.inspection.findings import Finding, Group

GRACE = 15.0
"""Seconds beyond its own time-outs after which a probe is told to hang; several time-outs can follow each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One server to look at: ``look`` asks and judges, and may raise the SinkError that says why it cannot."""

    group: Group
    subject: str
    look: Callable[[], Iterable[Finding]]


@dataclass(slots=True)
class _Outcome:
    findings: list[Finding] = field(default_factory=list)
    error: BaseException | None = None


def run(
    probes: Sequence[Probe], *, timeout: float, grace: float = GRACE, clock: Callable[[], float] = time.monotonic
) -> list[Finding]:
    """Give all findings, in the order of the probes; ``timeout`` and ``grace`` bound each, in seconds."""
    outcomes = [_Outcome() for _ in probes]
    threads = [
        # daemons: what hangs must not keep the command from ending
        threading.Thread(target=_look, args=(probe, outcome), name=f"check {probe.group.name}", daemon=True)
        for probe, outcome in zip(probes, outcomes, strict=True)
    ]
    for thread in threads:
        thread.start()
    until = clock() + timeout + grace
    found: list[Finding] = []
    for probe, outcome, thread in zip(probes, outcomes, threads, strict=True):
        thread.join(max(0.0, until - clock()))
        found += _told(probe, outcome, hangs=thread.is_alive())
    return found


def _look(probe: Probe, outcome: _Outcome) -> None:
    try:
        outcome.findings.extend(probe.look())
    except BaseException as error:  # noqa: BLE001 (told below, by the thread that can still raise it)
        outcome.error = error


def _told(probe: Probe, outcome: _Outcome, *, hangs: bool) -> list[Finding]:
    if hangs:
        cure = "look at the network between here and there, or give it longer: --timeout"
        return [probe.group.failure(probe.subject, "it does not answer in time", cure)]
    if isinstance(outcome.error, SinkError):
        return [*outcome.findings, probe.group.told(probe.subject, str(outcome.error))]
    if outcome.error is not None:
        raise outcome.error
    return outcome.findings
