"""What a verification prints of rows whose text was made by others."""

from __future__ import annotations

from sink.cli.replayed import legible
from sink.cli.verified import _delete
from sink.datasets import DATASETS


def test_text_that_plays_tricks_on_terminals_is_escaped() -> None:
    assert legible("\x1b[2J") == r"\x1b[2J"
    assert legible("é 'x'") == "é 'x'"
    assert legible(None) == "-"


def test_the_statement_quotes_what_it_names_and_leaves_out_what_nobody_can_type() -> None:
    keys = [
        {"symbol": "A') OR 1=1 --", "trade_ts": "2026-06-02T12:00:00+00:00", "trade_id": 1},
        {"symbol": "\x1b[2J", "trade_ts": "2026-06-02T12:00:00+00:00", "trade_id": 2},
    ]

    assert _delete(DATASETS["trades"], keys) == (
        "DELETE FROM trades WHERE (symbol, trade_ts, trade_id) IN (('A'') OR 1=1 --', '2026-06-02T12:00:00+00:00', 1))"
    )
    assert _delete(DATASETS["trades"], keys[1:]) is None
