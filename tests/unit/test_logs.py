"""Logs: one form for everything, secrets masked, levels kept."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
import structlog

from sink import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging as it was for other tests."""
    root = logging.getLogger()
    names = ("", "sink", "httpcore", "httpx", "sqlalchemy")
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in names}
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def configured(form: Literal["auto", "console", "json"], level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(form=form, level=level, stream=stream)
    return stream


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_record_is_one_line_with_time_level_event_and_fields() -> None:
    stream = configured("json")
    structlog.get_logger("sink.flush").info("batch written", rows=3, topic="market.trades", note="two\nlines")
    (record,) = records(stream)
    assert list(record)[:3] == ["timestamp", "level", "event"]
    assert datetime.fromisoformat(record.pop("timestamp")).tzinfo == UTC
    assert record == {
        "level": "info",
        "event": "batch written",
        "logger": "sink.flush",
        "rows": 3,
        "topic": "market.trades",
        "note": "two\nlines",
    }


def test_the_standard_library_and_warnings_come_out_in_the_same_form() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        stream = configured("json")
        logging.getLogger("alembic.runtime.migration").info("Running upgrade %s -> %s", "a", "b", extra={"step": 1})
        warnings.warn("old option", DeprecationWarning, stacklevel=1)
    first, second = records(stream)
    assert (first["event"], first["step"], first["level"]) == ("Running upgrade a -> b", 1, "info")
    assert "old option" in second["event"]


def test_auto_is_json_where_nobody_sits_at_a_terminal() -> None:
    stream = configured("auto")
    structlog.get_logger("sink").warning("hello")
    assert records(stream)[0]["event"] == "hello"


def test_the_console_form_is_for_people() -> None:
    stream = configured("console")
    structlog.get_logger("sink").warning("lag grows", lag=5)
    assert "lag grows" in stream.getvalue()
    assert "lag=5" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()  # no colours outside a terminal


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.usefixtures("expects_error_log")
def test_secrets_never_leave(form: Literal["console", "json"]) -> None:
    stream = configured(form)
    log = structlog.get_logger("sink")
    log.error("cannot reach postgresql://u:hunter2@h/db", password="hunter2", kafka={"sasl.password": "hunter2"})
    password = "hunter2"  # a local variable, which no traceback may show
    try:
        int(f"http://u:{password}@registry")
    except ValueError as error:
        log.exception("gone", error=error)
        logging.getLogger("other").exception("gone too: %s", error)  # noqa: TRY401 # what careless libraries do
    assert "hunter2" not in stream.getvalue()
    assert "Traceback" in stream.getvalue()


def test_levels_are_the_sinks_own_and_others_stay_at_info_or_above() -> None:
    stream = configured("json", level="debug")
    for name in ("sink.pipeline", "alembic", "sqlalchemy.engine", "httpx"):
        logging.getLogger(name).debug("debug")
        logging.getLogger(name).info("info")
    found = [(record["logger"], record["event"]) for record in records(stream)]
    assert found == [("sink.pipeline", "debug"), ("sink.pipeline", "info"), ("alembic", "info")]
    stream = configured("json", level="error")
    logging.getLogger("sink").warning("quiet")
    assert stream.getvalue() == ""


def test_configuring_again_replaces_our_handler_and_keeps_those_of_others() -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    first, second = configured("json"), configured("json")
    structlog.get_logger("sink").info("once")
    assert first.getvalue() == ""
    assert len(records(second)) == 1
    assert other in logging.getLogger().handlers
