"""What a check asks of a real database."""

from __future__ import annotations

from sqlalchemy import Engine, text

from sink.db.facts import gather


def test_whose_rules_compare_keys(database_url: str, engine: Engine) -> None:
    """The column's own, or the database's, which has another place for its name than a collation."""
    with engine.begin() as connection:
        connection.execute(text('ALTER TABLE trades ALTER COLUMN symbol TYPE text COLLATE "en-x-icu"'))
        connection.execute(text('ALTER TABLE funding ALTER COLUMN symbol TYPE text COLLATE "default"'))
        of_the_database = connection.scalar(
            text("SELECT datcollate FROM pg_database WHERE datname = current_database()")
        )
    tables = gather(database_url, timeout=10).tables
    assert {name: tables[f"public.{name}"].collations for name in ("candles_1m", "trades", "funding")} == {
        "candles_1m": ("C",),
        "trades": ("en-x-icu",),
        "funding": (of_the_database,),
    }
    assert tables["public.trades"].key == ("symbol", "trade_ts", "trade_id")
