"""The writer thread: one call after the other, and never what keeps the process."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from functools import partial

import pytest

from sink.tasks import ThreadWriter


class Held:
    """Stands for a batch."""


HANGING = """
import threading
from sink.tasks import ThreadWriter
started = threading.Event()
def hang():
    started.set()
    threading.Event().wait()
ThreadWriter("test").submit(hang)
started.wait()
"""


def test_calls_run_one_after_the_other_and_give_what_they_gave() -> None:
    writer = ThreadWriter("test")
    order: list[int] = []
    tasks = [writer.submit(lambda number=number: order.append(number)) for number in range(9)]  # type: ignore[misc] # a default binds
    failing = writer.submit(lambda: 1 / 0)

    assert failing.wait(30)
    assert all(task.done() for task in tasks)
    assert order == list(range(9))
    with pytest.raises(ZeroDivisionError):
        failing.result()
    assert writer.submit(lambda: "alive").wait(30)


def test_what_a_failed_call_held_is_freed_without_the_garbage_collector() -> None:
    writer = ThreadWriter("test")
    batch = Held()
    freed = weakref.ref(batch)

    def fail(batch: Held) -> None:
        raise ValueError(batch)

    gc.disable()  # it runs rarely in the sink, and a batch is as large as they come
    try:
        task = writer.submit(partial(fail, batch))
        assert task.wait(30)
        with pytest.raises(ValueError, match="Held"):
            task.result()
        del task, batch
        writer.submit(lambda: None).wait(30)
        assert freed() is None
    finally:
        gc.enable()


def test_a_call_that_hangs_does_not_keep_the_process() -> None:
    assert subprocess.run([sys.executable, "-c", HANGING], timeout=60, check=False).returncode == 0
