"""What a check found: one sentence each, with its cure where something is to be mended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a check; ``cure`` is empty where there is nothing to mend, or where ``found`` says how."""

    group: str
    """``settings``, ``kafka``, ``registry`` or ``database``."""
    subject: str
    state: State
    found: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Makes the findings of one group."""

    name: str

    def ok(self, subject: str, found: str) -> Finding:
        """Say that something is as it must be."""
        return Finding(group=self.name, subject=subject, state=State.OK, found=found)

    def warning(self, subject: str, found: str, cure: str) -> Finding:
        """Say that something works, but should not stay so."""
        return Finding(group=self.name, subject=subject, state=State.WARNING, found=found, cure=cure)

    def failure(self, subject: str, found: str, cure: str) -> Finding:
        """Say that the sink cannot run, or would lose what it promises."""
        return Finding(group=self.name, subject=subject, state=State.FAILURE, found=found, cure=cure)

    def told(self, subject: str, sentence: str) -> Finding:
        """Make a failure of an error's message, which names its own cure."""
        return Finding(group=self.name, subject=subject, state=State.FAILURE, found=sentence)
