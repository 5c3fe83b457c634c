"""Shows the steps of a command while they are under way, each with its time and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

Tell = Callable[[str], None]
"""Says how far a step is; the last words are what came of it."""


class ToldSteps(Protocol):
    """Steps that can say more than their name; several may be under way at once, in threads."""

    def step(self, text: str) -> AbstractContextManager[Tell]:
        """Show ``text`` as under way until the block ends."""


@contextmanager
def steps_on(console: Console) -> Iterator[ToldSteps]:
    """Show steps live on a terminal, line by line elsewhere."""
    if not console.is_terminal:
        yield _PlainSteps(console)
        return
    columns = (SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield _LiveSteps(progress)


class _LiveSteps:
    """A line with a spinner and a clock for each step."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def step(self, text: str) -> AbstractContextManager[Tell]:
        return self._shown(text, self._progress.add_task(escape(text), total=1))

    @contextmanager
    def _shown(self, text: str, task: TaskID) -> Iterator[Tell]:
        try:
            yield lambda words: self._progress.update(task, description=escape(f"{text}: {words}"))
        except BaseException:
            self._progress.update(task, description=f"{escape(text)} [red]failed")
            self._progress.stop_task(task)
            raise
        self._progress.update(task, completed=1)


class _PlainSteps:
    """A line when a step begins and one when it is done, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, text: str) -> Iterator[Tell]:
        began = time.monotonic()
        self._print(f"{text} ...")
        told = ["done"]
        yield lambda words: told.__setitem__(0, words)
        self._print(f"{text}: {told[0]} ({time.monotonic() - began:.1f} s)")

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False)
