"""What the stack is doing, told to whoever watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Steps(Protocol):
    """Shows the steps of a command; several may be under way at once, in threads."""

    def step(self, text: str) -> AbstractContextManager[object]:
        """Show ``text`` as under way until the block ends; what the block is given is not used here."""


class SilentSteps:
    """Shows nothing."""

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show nothing."""
        del text
        yield
