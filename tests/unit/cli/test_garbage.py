"""What Python's garbage collector does while messages come by the ten thousand."""

from __future__ import annotations

import subprocess
import sys

ROUNDS = """
import gc
from confluent_kafka import Message
from sink.cli import garbage

garbage.settle()
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
