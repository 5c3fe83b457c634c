"""docs/schema.md does what it says: its snippet runs, and following "Add a dataset" adds one."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from sink.avro.encode import Encoder
from sink.avro.framing import frame_single_object
from sink.avro.schemas import shipped_schema
from tests.fix_database import plain_engine, prepare_roles
from tests.fix_sink import Market, clean_environment

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "schema.md"
NOON = datetime(2026, 6, 2, 12, tzinfo=UTC)


def block(instruction: str) -> str:
    """Give the code block of the page that follows the comment with this instruction."""
    pattern = rf"<!-- {re.escape(instruction)} -->\n```\w+\n(.*?)```\n"
    [code] = re.findall(pattern, PAGE.read_text(), flags=re.DOTALL)
    return str(code)


def run(*command: str, cwd: Path, database: str) -> str:
    """Run a command of this Python as a user would, and give what it printed; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", *command] if command[0] != "-c" else [sys.executable, *command],
        cwd=cwd,
        env={**clean_environment(), "DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """Copy the tracked files, as a clone would have them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, copy, follow_symlinks=False)
    return tmp_path


def test_the_snippet_writes_and_reads_a_candle(writer_url: str, tmp_path: Path) -> None:
    printed = run("-c", block("run") + "\nprint(len(latest), latest[0].close)", cwd=tmp_path, database=writer_url)

    assert printed.split() == ["1", "64080.100000000000000000"]
    with plain_engine(writer_url).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM candles_1m")) == 1


def follow_the_page(tree: Path) -> None:
    """Apply the blocks of "Add a dataset" to a copy of the repository."""
    (tree / "schemas").mkdir(exist_ok=True)
    (tree / "schemas/liquidations.avsc").write_text(block("create schemas/liquidations.avsc"))
    models = tree / "sink/db/models.py"
    models.write_text(models.read_text() + block("append to sink/db/models.py"))
    datasets = tree / "sink/datasets.py"
    lines = datasets.read_text().splitlines(keepends=True)
    [funding] = [place for place, line in enumerate(lines) if 'name="funding"' in line]
    lines.insert(funding + 1, block('add to sink/datasets.py below name="funding"'))
    datasets.write_text("".join(lines))


def encoded(tree: Path) -> list[bytes]:
    """Encode three forced orders by the schema of the copy."""
    schema = shipped_schema("liquidations", tree / "schemas")
    encoder = Encoder(schema)
    return [
        frame_single_object(
            schema.fingerprint,
            encoder.encode(
                {
                    "symbol": "BTCUSDT",
                    "liquidated_ts": NOON,
                    "order_id": number,
                    "side": "sell",
                    "price": Decimal("64000.12"),
                    "quantity": Decimal(number) / 4,
                    "bankruptcy_price": Decimal(63_000) if number else None,
                }
            ),
        )
        for number in range(3)
    ]


def commands(instruction: str) -> list[list[str]]:
    return [shlex.split(line) for line in block(instruction).splitlines()]


def test_following_the_page_adds_a_dataset_that_flows(market: Market, copied_tree: Path) -> None:
    prepare_roles(make_url(market.administrator_url))  # settings of a role in a database are not cloned with it
    migrator = market.url_of("sink_migrator")
    follow_the_page(copied_tree)
    copy = replace(market, tree=copied_tree)

    for command in commands("run in the shell"):
        run(*command, cwd=copied_tree, database=migrator)
    for command in commands("then run in the shell"):
        if command[:2] == ["sink", "run"]:
            market.send("liquidations", encoded(copied_tree))
        done = copy.sink(*command[1:])
        assert done.returncode == 0, done.stderr

    price, margin = Decimal("64000.12"), Decimal(63_000)
    assert market.rows(
        "SELECT symbol, liquidated_ts, order_id, side, price, quantity, bankruptcy_price, source_offset"
        " FROM liquidations ORDER BY order_id"
    ) == [
        ("BTCUSDT", NOON, 0, "sell", price, Decimal(0), None, 0),
        ("BTCUSDT", NOON, 1, "sell", price, Decimal("0.25"), margin, 1),
        ("BTCUSDT", NOON, 2, "sell", price, Decimal("0.5"), margin, 2),
    ]
    market.check_ledger(messages=3)
    assert market.rows(
        "SELECT column_name, CAST(time_interval AS text) FROM timescaledb_information.dimensions"
        " WHERE hypertable_name = 'liquidations'"
    ) == [("liquidated_ts", "7 days")]
    kept = "SELECT CAST(drop_after AS text) FROM sink.retention WHERE table_name = 'liquidations'"
    assert market.rows(kept) == [("90 days",)]
    run("alembic", "check", cwd=copied_tree, database=migrator)
