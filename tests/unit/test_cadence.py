"""How long a batch fills, by how long flushes take."""

from __future__ import annotations

import pytest

from sink.cadence import Cadence


@pytest.mark.parametrize(
    ("seconds", "wait"),
    [
        pytest.param(0.01, 0.1, id="fast: a fifth of the longest"),
        pytest.param(0.15, 0.3, id="slower: twice the flush"),
        pytest.param(7.0, 0.5, id="stalled: never longer than the longest"),
    ],
)
def test_a_batch_waits_as_the_last_flush_allows(seconds: float, wait: float) -> None:
    cadence = Cadence(0.5)
    assert cadence.wait == 0.1
    cadence.took(7.0)

    cadence.took(seconds)

    assert cadence.wait == wait


def test_nothing_waits_where_nothing_may_wait() -> None:
    cadence = Cadence(0.0)
    cadence.took(7.0)
    assert cadence.wait == 0.0
