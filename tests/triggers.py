"""Triggers that let a real server fail in the middle of a write, with the SQLSTATE that a test wants."""

from __future__ import annotations

from sqlalchemy import Engine, text


def fail_inserts(engine: Engine, body: str) -> None:
    """Run PL/pgSQL before each row inserted into trades; ``tries`` is a sequence that no rollback takes back."""
    with engine.begin() as connection:
        connection.execute(text("CREATE SEQUENCE IF NOT EXISTS tries"))
        connection.execute(text("GRANT USAGE, UPDATE ON SEQUENCE tries TO sink_writer"))
        connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN {body} RETURN NEW; END $$"
            )
        )
        connection.execute(
            text("CREATE OR REPLACE TRIGGER fault BEFORE INSERT ON trades FOR EACH ROW EXECUTE FUNCTION fault()")
        )


def mend_inserts(engine: Engine) -> None:
    """Let inserts into trades pass again."""
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER fault ON trades"))


def raising(sqlstate: str) -> str:
    """Give the statement that fails with this SQLSTATE."""
    return f"RAISE EXCEPTION 'as the test wants it' USING ERRCODE = '{sqlstate}';"
