"""Exchange dumps: every quirk of real files, and what is wrong with a file said by file and line."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sink.db.payloads import CandlePayload, FundingPayload, OpenInterestPayload, TradePayload
from sink.errors import BadFile, ConfigError, SinkError
from sink.producing.dumps import LineNote, identify, read
from sink.producing.payload import Payload
from sink.producing.samples import sample_files

KLINE = "1570752000000,0.00141342,0.00141557,0.00141266,0.00141418,1482.0,1570752059999,,,,,0"
TRADE = "13519807,0.00141342,23.0,0.03250866,1570752011620,True,True"
AGGREGATED = "26129,0.01633102,4.70443515,27781,27781,1498793709153,true,true"
FUNDING_HEADER = "calc_time,funding_interval_hours,last_funding_rate"
METRICS_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
METRICS = "2024-01-01 00:05:00,BTCUSDT,80101.5,3400000000.123456789012345600,1.5,1.2,,0.9"

Write = Callable[[str, str | bytes], Path]


@pytest.fixture(name="write")
def make_write(tmp_path: Path) -> Write:
    """Write a csv file of this name and text."""

    def write(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def payloads(path: Path, *, symbol: str | None = None, dataset: str | None = None) -> list[Payload]:
    return list(read(identify(path, symbol=symbol, dataset=dataset)))


def zipped(path: Path, **members: str | bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.csv", text)
    return path


def test_kline_keeps_every_digit_and_leaves_empty_columns_none(write: Write) -> None:
    assert payloads(write("XRPETH-1m-2019-10.csv", KLINE)) == [
        CandlePayload(
            symbol="XRPETH",
            bucket_start=datetime(2019, 10, 11, tzinfo=UTC),
            open=Decimal("0.00141342"),
            high=Decimal("0.00141557"),
            low=Decimal("0.00141266"),
            close=Decimal("0.00141418"),
            volume=Decimal("1482.0"),
            observed_at=datetime(2019, 10, 11, 0, 1, tzinfo=UTC),
        )
    ]


def test_kline_with_statistics_in_a_file_with_header(write: Write) -> None:
    statistics = "quote_volume,count,taker_buy_volume,taker_buy_quote_volume"
    header = f"open_time,open,high,low,close,volume,close_time,{statistics},ignore"
    line = "1704067200000,1,2,0.5,1.5,10,1704067259999,15.5,7,4,6.2,0"
    (candle,) = payloads(write("BTCUSDT-1m-2024-01-01.csv", f"{header}\n{line}\n"))
    assert isinstance(candle, CandlePayload)
    read_back = (candle.quote_volume, candle.trade_count, candle.taker_buy_base_volume, candle.taker_buy_quote_volume)
    assert read_back == (Decimal("15.5"), 7, Decimal(4), Decimal("6.2"))


def test_raw_trade_gets_the_takers_side(write: Write) -> None:
    assert payloads(write("XRPETH-trades-2019-10.csv", f"{TRADE}\n13519808,1,1,1,1570752011620,False,True")) == [
        TradePayload(
            symbol="XRPETH",
            trade_ts=datetime(2019, 10, 11, 0, 0, 11, 620000, tzinfo=UTC),
            trade_id=13519807,
            price=Decimal("0.00141342"),
            quantity=Decimal("23.0"),
            is_buyer_maker=True,
            side="sell",
            observed_at=datetime(2019, 10, 11, 0, 0, 11, 620000, tzinfo=UTC),
        ),
        TradePayload(
            symbol="XRPETH",
            trade_ts=datetime(2019, 10, 11, 0, 0, 11, 620000, tzinfo=UTC),
            trade_id=13519808,
            price=Decimal(1),
            quantity=Decimal(1),
            is_buyer_maker=False,
            side="buy",
            observed_at=datetime(2019, 10, 11, 0, 0, 11, 620000, tzinfo=UTC),
        ),
    ]


def test_aggregated_trade_takes_its_own_time_and_id(write: Write) -> None:
    (trade,) = payloads(write("BNBBTC-aggTrades-2017-06.csv", AGGREGATED))
    assert isinstance(trade, TradePayload)
    assert (trade.trade_id, trade.quantity, trade.is_buyer_maker) == (26129, Decimal("4.70443515"), True)
    assert trade.trade_ts == datetime(2017, 6, 30, 3, 35, 9, 153000, tzinfo=UTC)


@pytest.mark.parametrize("line", [TRADE, TRADE.rsplit(",", 1)[0]], ids=["spot", "futures"])
def test_raw_trades_are_told_from_aggregated_ones_without_a_name(write: Write, line: str) -> None:
    (trade,) = payloads(write("dump.csv", line), symbol="A", dataset="trades")
    assert isinstance(trade, TradePayload)
    assert (trade.trade_id, trade.trade_ts.year) == (13519807, 2019)


@pytest.mark.parametrize(
    "text",
    [
        AGGREGATED,
        AGGREGATED.rsplit(",", 1)[0],
        f"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n{AGGREGATED[:-5]}",
    ],
    ids=["spot", "futures", "header"],
)
def test_aggregated_trades_are_told_from_raw_ones_without_a_name(write: Write, text: str) -> None:
    (trade,) = payloads(write("dump.csv", text), symbol="A", dataset="trades")
    assert isinstance(trade, TradePayload)
    assert (trade.trade_id, trade.trade_ts.year) == (26129, 2017)


def test_funding_is_annualised_by_its_own_interval(write: Write) -> None:
    lines = f"{FUNDING_HEADER}\n1637193600017,8,0.0001\n1637222400007,4,-2.5E-7\n1637222400008,,1e-4\n"
    first, second, third = payloads(write("XRPUSDT-fundingRate-2021-11.csv", lines))
    assert first == FundingPayload(
        symbol="XRPUSDT",
        funding_ts=datetime(2021, 11, 18, 0, 0, 0, 17000, tzinfo=UTC),
        funding_rate=Decimal("0.0001"),
        annualised_rate=Decimal("0.1095"),
        observed_at=datetime(2021, 11, 18, 0, 0, 0, 17000, tzinfo=UTC),
    )
    assert isinstance(second, FundingPayload)
    assert (second.funding_rate, second.annualised_rate) == (Decimal("-0.00000025"), Decimal("-0.0005475"))
    assert isinstance(third, FundingPayload)
    assert third.annualised_rate is None, "the interval is not known"


def test_annualised_rate_that_no_column_holds_exactly_is_left_out(write: Write) -> None:
    (funding,) = payloads(write("A-fundingRate-2021-11.csv", f"{FUNDING_HEADER}\n1637193600017,7,0.0001"))
    assert isinstance(funding, FundingPayload)
    assert funding.annualised_rate is None


def test_metrics_times_are_text_in_utc(write: Write) -> None:
    assert payloads(write("BTCUSDT-metrics-2024-01-01.csv", f"{METRICS_HEADER}\n{METRICS}")) == [
        OpenInterestPayload(
            symbol="BTCUSDT",
            snapshot_ts=datetime(2024, 1, 1, 0, 5, tzinfo=UTC),
            open_interest=Decimal("80101.5"),
            open_interest_usd=Decimal("3400000000.1234567890123456"),
            observed_at=datetime(2024, 1, 1, 0, 5, tzinfo=UTC),
        )
    ]


def test_milliseconds_and_microseconds_give_the_same_candle(write: Write) -> None:
    micros = KLINE.replace("1570752000000", "1570752000000000").replace("1570752059999", "1570752059999999")
    one, two = payloads(write("A-1m-2025-01.csv", f"{KLINE}\n{micros}"))
    assert one == two


def test_microseconds_are_kept(write: Write) -> None:
    (trade,) = payloads(write("A-trades-2025-01-01.csv", TRADE.replace("1570752011620", "1735689600123456")))
    assert isinstance(trade, TradePayload)
    assert trade.trade_ts == datetime(2025, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{TRADE}\n",
        f"{TRADE}\r\n",
        f"{TRADE}\n\n  \n\n",
        ",".join(f'"{cell}"' for cell in TRADE.split(",")),
        TRADE.replace("True", "true"),
        TRADE.replace("True", "TRUE"),
        TRADE.replace(",", " , "),
        f"\ufeffid,price,qty,quote_qty,time,is_buyer_maker,is_best_match\r\n{TRADE}",
        "Time,Price,Qty,Quote_Qty,Id,Is_Buyer_Maker\n1570752011620,0.00141342,23.0,1,13519807,True",
        TRADE.replace("0.00141342", "1.41342E-3").replace("23.0", "2.3e+1"),
    ],
    ids=["bom", "crlf", "blank-end", "quotes", "lower", "upper", "spaces", "bom-header", "other-order", "scientific"],
)
def test_quirks_of_form_do_not_change_a_trade(write: Write, text: str) -> None:
    assert payloads(write("A-trades-2019-10.csv", text)) == payloads(write("A-trades-2019-11.csv", TRADE))


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        ("A-trades-2019-10.csv", TRADE.replace("True", "maybe"), "is_buyer_maker is 'maybe'"),
        ("A-trades-2019-10.csv", TRADE.replace("0.00141342", ""), "price is ''"),
        ("A-trades-2019-10.csv", TRADE.replace("0.00141342", "NaN"), "price is 'NaN'"),
        ("A-trades-2019-10.csv", TRADE.replace("0.00141342", "-Infinity"), "price is '-Infinity'"),
        ("A-trades-2019-10.csv", TRADE.replace("0.00141342", "1_000"), "price is '1_000'"),
        ("A-trades-2019-10.csv", TRADE.replace("0.00141342", "1" * 21), "at most 20 digits before the point"),
        ("A-trades-2019-10.csv", TRADE.replace("0.00141342", "1e999999999"), "price is '1e999999999'"),
        ("A-trades-2019-10.csv", TRADE.replace("13519807", "9" * 19), "id is"),
        ("A-trades-2019-10.csv", TRADE.replace("1570752011620", "1570752011"), "neither in milliseconds nor"),
        ("A-trades-2019-10.csv", TRADE.replace("1570752011620", "1570752011620000000"), "neither in milliseconds nor"),
        ("A-trades-2019-10.csv", "1,2,3", "3 cells, where 6 to 7 are expected"),
        ("A-trades-2019-10.csv", f"{TRADE},,", "9 cells, where 6 to 7 are expected"),
        ("A-trades-2019-10.csv", f'"{TRADE}', "unexpected end of data"),
        ("A-1m-2019-10.csv", KLINE.replace("1570752000000", "1570752000001"), "not the beginning of a minute"),
        ("A-1m-2019-10.csv", KLINE.replace("1570752059999", "1570752299999"), "no 1-minute candle"),
        ("A-fundingRate-2019-10.csv", "1637193600017,0,0.1", "funding_interval_hours is '0'"),
        ("A-fundingRate-2019-10.csv", "1637193600017,99999999999,0.1", "funding_interval_hours is '99999999999'"),
        ("A-metrics-2019-10.csv", METRICS.replace("00:05:00", "25:05:00"), "create_time is"),
        ("A-metrics-2019-10.csv", METRICS.replace("2024-01-01", "0001-01-01"), "create_time is"),
    ],
)
def test_bad_line_is_named_by_file_and_number(write: Write, name: str, line: str, reason: str) -> None:
    good = {"A-trades": TRADE, "A-1m": KLINE, "A-fundingRate": "1637193600017,8,0.1", "A-metrics": METRICS}
    path = write(name, f"{good[name.removesuffix('-2019-10.csv')]}\n\n{line}\n")
    with pytest.raises(BadFile) as raised:
        payloads(path)
    assert f"{name}, line 3: " in str(raised.value)
    assert reason in str(raised.value)


def test_bad_lines_can_be_left_out_and_counted(write: Write) -> None:
    path = write("A-trades-2019-10.csv", f"{TRADE}\nrubbish\n{TRADE}\n1,2\n".encode() + b"\xff\xfe,\x00\n")
    bad: list[LineNote] = []
    assert len(list(read(identify(path), on_bad_line=bad.append))) == 2
    assert [note.line for note in bad] == [2, 4, 5]


def test_binary_float_of_the_exchange_is_rounded_and_told(write: Write) -> None:
    """The real XRPUSDT file holds this value, 19 digits behind the point; PostgreSQL would round it unseen."""
    path = write("XRPUSDT-fundingRate-2021-11.csv", f"{FUNDING_HEADER}\n1637193600017,8,-0.0021933400000000002")
    told: list[LineNote] = []
    (funding,) = read(identify(path), on_rounded=told.append)
    assert isinstance(funding, FundingPayload)
    assert funding.funding_rate == Decimal("-0.00219334")
    assert [(note.line, "rounded" in note.reason) for note in told] == [(2, True)]


def test_header_without_a_needed_column_says_which(write: Write) -> None:
    with pytest.raises(BadFile, match=r"line 1: the header lacks last_funding_rate; .* is this a fundingRate file\?"):
        payloads(write("A-fundingRate-2019-10.csv", "calc_time,funding_interval_hours\n1637193600017,8"))


def test_file_without_line_ends_does_not_fill_memory(write: Write) -> None:
    with pytest.raises(BadFile, match="line 1: longer than 65536 characters"):
        payloads(write("A-trades-2019-10.csv", "1" * 200_000))


def test_empty_file_has_no_rows(write: Write) -> None:
    assert payloads(write("A-trades-2019-10.csv", "")) == []
    with pytest.raises(BadFile, match="is empty"):
        payloads(write("dump.csv", ""), symbol="A", dataset="trades")


def test_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="No such file"):
        payloads(tmp_path / "A-trades-2019-10.zip")


def test_zip_and_csv_give_the_same(write: Write, tmp_path: Path) -> None:
    path = zipped(tmp_path / "A-trades-2019-10.zip", **{"A-trades-2019-10": f"{TRADE}\n"})
    assert payloads(path) == payloads(write("A-trades-2019-10.csv", TRADE))


@pytest.mark.parametrize("members", [{}, {"a": TRADE, "b": TRADE}], ids=["none", "two"])
def test_zip_must_hold_one_csv(tmp_path: Path, members: dict[str, str]) -> None:
    with pytest.raises(BadFile, match=f"holds {len(members)} csv files"):
        payloads(zipped(tmp_path / "A-trades-2019-10.zip", **members))


def test_damaged_zip_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "A-trades-2019-10.zip", a="\n".join([TRADE] * 1000))
    whole = path.read_bytes()
    path.write_bytes(whole[:60] + bytes(20) + whole[80:])
    with pytest.raises(BadFile, match="cannot be unpacked"):
        payloads(path)
    path.write_bytes(whole[:100])
    with pytest.raises(BadFile, match="is no zip archive"):
        payloads(path)


def test_checksum_beside_the_file_is_verified(tmp_path: Path) -> None:
    path = zipped(tmp_path / "A-trades-2019-10.zip", a=TRADE)
    beside = tmp_path / "A-trades-2019-10.zip.CHECKSUM"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    beside.write_text(f"{digest.upper()}  A-trades-2019-10.zip\n")
    assert len(payloads(path)) == 1
    beside.write_text(f"{'0' * 64}  A-trades-2019-10.zip\n")
    with pytest.raises(BadFile, match=f"has sha256 {digest}, but .* fetch the file again"):
        payloads(path)
    beside.write_text("<html>not found</html>")
    with pytest.raises(BadFile, match="holds no sha256"):
        payloads(path)


@pytest.mark.parametrize(
    ("name", "symbol", "kind"),
    [
        ("XRPETH-trades-2019-10.zip", "XRPETH", "trades"),
        ("BTCUSDT-1m-2024-01-01.zip", "BTCUSDT", "klines"),
        ("XRPUSDT-fundingRate-2021-11.zip", "XRPUSDT", "fundingRate"),
        ("BTCUSDT-metrics-2024-01-01.csv", "BTCUSDT", "metrics"),
        ("BTCUSD_240329-aggTrades-2024-01.zip", "BTCUSD_240329", "aggTrades"),
        ("BTC-USDT-PERP-1m-2024-01.csv", "BTC-USDT-PERP", "klines"),
    ],
)
def test_file_name_tells_symbol_and_kind(name: str, symbol: str, kind: str) -> None:
    dump = identify(Path(name))
    assert (dump.symbol, dump.kind.name) == (symbol, kind)


def test_symbol_and_dataset_come_before_the_name() -> None:
    dump = identify(Path("XRPETH-trades-2019-10.zip"), symbol="BINANCE:XRPETH", dataset="funding")
    assert (dump.symbol, dump.kind.name) == ("BINANCE:XRPETH", "fundingRate")
    assert identify(Path("A-aggTrades-2019-10.zip"), dataset="trades").kind.name == "aggTrades"


@pytest.mark.parametrize(
    ("name", "symbol", "dataset", "reason"),
    [
        ("BTCUSDT-5m-2024-01-01.zip", None, None, "candles of 5m; only 1-minute candles have a table"),
        ("BTCUSDT-1mo-2024-01-01.zip", None, None, "candles of 1mo"),
        ("whatever.csv", None, None, "does not say what it holds"),
        ("whatever.csv", None, "funding", "give --symbol"),
        ("A-trades-2019-10.zip", None, "tradez", "no dataset 'tradez'; choose one of candles_1m"),
        ("A-trades-2019-10.zip", "A" * 65, None, "is no symbol"),
        ("A-trades-2019-10.zip", "A\0", None, "is no symbol"),
    ],
)
def test_what_a_file_holds_must_be_known(name: str, symbol: str | None, dataset: str | None, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        identify(Path(name), symbol=symbol, dataset=dataset)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.text(alphabet='0123456789.,-+eE"\n\rTrue \ufeff\0٣', max_size=300).map(str.encode),
        st.lists(st.sampled_from([TRADE, KLINE, METRICS, METRICS_HEADER, FUNDING_HEADER, '"', ",", "PK\3\4"])).map(
            lambda lines: "\n".join(lines).encode()
        ),
    ),
    name=st.sampled_from(["A-trades", "A-aggTrades", "A-1m", "A-fundingRate", "A-metrics", "other"]),
    suffix=st.sampled_from(["zip", "csv"]),
)
def test_random_bytes_give_rows_or_our_own_errors(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / f"{name}-2019-10.{suffix}"
    path.write_bytes(content)
    try:
        rows = payloads(path, symbol="A", dataset="trades" if name == "other" else None)
    except SinkError as error:
        assert str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert all(row.symbol == "A" for row in rows)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(flips=st.lists(st.tuples(st.integers(0, 7_900), st.integers(0, 255)), min_size=1, max_size=5))
def test_damaged_archives_give_rows_or_our_own_errors(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    (sample,) = (path for path in sample_files() if "trades" in path.name)
    content = bytearray(sample.read_bytes())
    for place, value in flips:
        content[place] = value
    path = tmp_path_factory.mktemp("fuzz") / sample.name
    path.write_bytes(content)
    try:
        payloads(path)
    except BadFile as error:
        assert path.name in str(error)  # noqa: PT017 (either outcome is right)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(value=st.decimals(min_value=-(10**19), max_value=10**19, places=18))
def test_every_storable_decimal_is_read_exactly(tmp_path_factory: pytest.TempPathFactory, value: Decimal) -> None:
    path = tmp_path_factory.mktemp("exact") / "A-fundingRate-2019-10.csv"
    path.write_text(f"1637193600017,8,{value}\n1637193600018,8,{value:f}\n")
    assert [row.funding_rate for row in payloads(path) if isinstance(row, FundingPayload)] == [value, value]


def test_samples_are_real_and_agree_with_each_other() -> None:
    """In the shipped cut every candle is exactly what the trades of its minute make."""
    rows = {path.name.split("-")[1]: payloads(path) for path in sample_files()}
    assert {kind: len(found) for kind, found in rows.items()} == {"1m": 148, "trades": 502, "fundingRate": 91}
    trades = [row for row in rows["trades"] if isinstance(row, TradePayload)]
    minutes = {
        minute: list(group)
        for minute, group in groupby(trades, lambda row: row.trade_ts.replace(second=0, microsecond=0))
    }
    for candle in rows["1m"]:
        assert isinstance(candle, CandlePayload)
        made = minutes.pop(candle.bucket_start)
        prices = [trade.price for trade in made]
        assert (candle.open, candle.high, candle.low, candle.close, candle.volume) == (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            sum(trade.quantity for trade in made),
        )
        assert candle.observed_at == candle.bucket_start + timedelta(minutes=1)
    assert not minutes
