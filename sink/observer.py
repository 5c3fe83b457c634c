"""Who hears what a loop does: a few words a poll, a batch and a flush, never one a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from sink.errors import SinkError
from sink.flush import Flushed

Rebalance = Literal["assigned", "revoked", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a flushed batch held, and how long it was worked out and kept waiting, in seconds."""

    messages: int
    size: int
    """Bytes of the raw messages."""
    prepare: float
    wait: float


class Observer(Protocol):
    """Hears of a loop on the thread that owns the consumer; times are in seconds."""

    def polled(self, seconds: float) -> None:
        """Hear how long a poll took, waiting for messages included."""

    def decoded(self, seconds: float) -> None:
        """Hear how long a poll's messages took to be decoded and collected."""

    def flushed(self, flushed: Flushed, batch: Size) -> None:
        """Hear of a flush that has committed."""

    def succeeded(self) -> None:
        """Hear that a task of the writer has come to its end."""

    def retrying(self, error: SinkError) -> None:
        """Hear of an error that passes: what failed is tried again."""

    def fenced(self) -> None:
        """Hear that another owner has claimed a partition of ours."""

    def rebalanced(self, event: Rebalance) -> None:
        """Hear of a decision of the group."""

    def ended(self, ends: Mapping[int, int]) -> None:
        """Hear where the brokers say that partitions end."""


class Nobody:
    """Hears nothing: for a loop that nobody watches, such as a replay's."""

    def polled(self, seconds: float) -> None:
        """Let it pass."""

    def decoded(self, seconds: float) -> None:
        """Let it pass."""

    def flushed(self, flushed: Flushed, batch: Size) -> None:
        """Let it pass."""

    def succeeded(self) -> None:
        """Let it pass."""

    def retrying(self, error: SinkError) -> None:
        """Let it pass."""

    def fenced(self) -> None:
        """Let it pass."""

    def rebalanced(self, event: Rebalance) -> None:
        """Let it pass."""

    def ended(self, ends: Mapping[int, int]) -> None:
        """Let it pass."""
