"""``sink run`` reads the topics of its datasets and no other."""

from __future__ import annotations

import pytest

from sink.cli.connections import chosen
from sink.datasets import DATASETS
from sink.errors import ConfigError


def test_fault_22_a_dataset_that_nobody_knows_is_refused_before_anything_starts() -> None:
    assert chosen(["trades", "trades"]) == [DATASETS["trades"]]
    with pytest.raises(ConfigError, match=r"no dataset is called orders; there are candles_1m, trades,"):
        chosen(["trades", "orders"])
