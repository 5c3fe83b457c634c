"""What Python's interpreter does while messages come by the ten thousand, with a thread that writes beside."""

from __future__ import annotations

import subprocess
import sys

ROUNDS = """
import gc
from confluent_kafka import Message
from sink.cli import interpreter

interpreter.settle()
rounds = []
gc.callbacks.append(lambda phase, _: rounds.append(phase))
for _ in range(20):
    held = [Message(topic="t", value=b"v") for _ in range(10_000)]
    times = list(map(Message.timestamp, held))
    del held, times
assert not rounds, rounds
circles = []
for _ in range(60_000):
    circle = []
    circle.append(circle)
assert rounds, "what only circles keep is still found"
"""


def test_polls_start_no_round_of_the_collector_and_circles_do() -> None:
    ended = subprocess.run([sys.executable, "-c", ROUNDS], timeout=60, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_thread_that_wants_the_lock_waits_less_than_by_default() -> None:
    code = "import sys; from sink.cli import interpreter; interpreter.settle(); print(sys.getswitchinterval())"
    ended = subprocess.run([sys.executable, "-c", code], timeout=60, check=True, capture_output=True, text=True)
    assert float(ended.stdout) <= sys.getswitchinterval() / 5
