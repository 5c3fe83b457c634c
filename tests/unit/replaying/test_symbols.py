"""A replay of some symbols leaves the others out, and accounts for them."""

from __future__ import annotations

from sink.batch import Batch
from sink.datasets import DATASETS
from sink.db.models import table_of
from sink.db.upsert import flushed_columns
from sink.prepared import prepare
from sink.replaying.symbols import OnlySymbols
from tests.build import NOON, Told, messages
from tests.fake_log import FakeDecoder, FakeLog

TOLD = [
    Told(partition=0, offset=0, trade_id=1, symbol="BTCUSDT"),
    Told(partition=0, offset=1, trade_id=2, symbol="ETHUSDT"),
    Told(partition=0, offset=2, trade_id=None),
    Told(partition=1, offset=0, trade_id=3, symbol="ETHUSDT"),
    Told(partition=1, offset=1, trade_id=4, symbol="BTCUSDT"),
]
LOG = FakeLog(told={0: TOLD[:3], 1: TOLD[3:]})


def test_other_symbols_are_ignored_and_bad_messages_stay() -> None:
    only = OnlySymbols(FakeDecoder(LOG), ["BTCUSDT", "DOGEUSDT"])

    decoded = only.decode(messages(TOLD))

    assert decoded.frame["trade_id"].to_list() == [1, 4]
    assert list(decoded.ignored) == [1, 3]
    assert [bad.index for bad in decoded.bad] == [2]
    assert only.unseen == {"DOGEUSDT"}


def test_ignored_messages_are_counted_from_the_start_and_survive_a_split() -> None:
    only = OnlySymbols(FakeDecoder(LOG), ["BTCUSDT"])
    batch = Batch("market.trades", clock="record")
    batch.add(messages(TOLD), only.decode(messages(TOLD)), {0: 0, 1: 0}, {})

    assert batch.ignored_from({0: 0, 1: 0}) == {0: 1, 1: 1}
    assert batch.ignored_from({0: 2}) == {}
    assert batch.only([1]).ignored_from({1: 0}) == {1: 1}
    assert batch.only([1]).wanted() == {(1, 1)}
    assert batch.wanted() == {(0, 0), (0, 2), (1, 1)}


def test_what_is_prepared_tells_ignored_apart_from_messages() -> None:
    only = OnlySymbols(FakeDecoder(LOG), ["BTCUSDT"])
    batch = Batch("market.trades", clock="record")
    batch.add(messages(TOLD), only.decode(messages(TOLD)), {0: 0, 1: 0}, {})
    trades = DATASETS["trades"]

    made = prepare(batch, trades, flushed_columns(table_of(trades.model)), {0: 0, 1: 0}, now=NOON, latest=NOON)

    assert made.messages == {0: 3, 1: 2}
    assert made.ignored == {0: 1, 1: 1}
