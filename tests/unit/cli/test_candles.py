"""The candle chart as characters."""

from __future__ import annotations

from decimal import Decimal

from sink.cli.candles import Bar, chart, digits_of


def bar(opens: str, high: str, low: str, close: str) -> Bar:
    return Bar(open=Decimal(opens), high=Decimal(high), low=Decimal(low), close=Decimal(close))


def cells(*bars: Bar, height: int) -> list[str]:
    return [row.cells for row in chart(bars, height=height)]


def test_bodies_are_thick_and_wicks_thin() -> None:
    # eight half lines for the prices 0 to 7
    assert cells(bar("2", "7", "0", "5"), height=4) == ["│", "┃", "┃", "│"]
    assert cells(bar("1", "7", "0", "6"), height=4) == ["╽", "┃", "┃", "╿"]
    assert cells(bar("0", "7", "0", "7"), bar("3", "4", "3", "3"), height=4) == ["┃ ", "┃╷", "┃╹", "┃ "]
    assert cells(bar("0", "7", "0", "7"), bar("4", "4", "3", "4"), height=4) == ["┃ ", "┃╻", "┃╵", "┃ "]


def test_a_fall_covers_what_the_same_rise_covers() -> None:
    assert cells(bar("1", "7", "0", "6"), height=3) == cells(bar("6", "7", "0", "1"), height=3)


def test_prices_fall_from_line_to_line_and_stay_within_the_market() -> None:
    prices = [row.price for row in chart([bar("2", "7", "0", "5")], height=4)]
    assert prices == [Decimal("6.5"), Decimal("4.5"), Decimal("2.5"), Decimal("0.5")]


def test_a_price_that_never_moved_is_a_line() -> None:
    flat = bar("5", "5", "5", "5")
    assert cells(flat, flat, height=2) == ["  ", "╻╻"]


def test_without_candles_there_is_no_chart() -> None:
    assert chart([], height=5) == []


def test_digits_are_those_that_the_prices_need() -> None:
    assert digits_of([bar("64000.120000000000000000", "64001", "63999", "64000.100000000000000000")]) == 2
    assert digits_of([bar("100", "100", "100", "2000.000")]) == 0
    assert digits_of([]) == 0
