"""A test in which an error was logged that it did not expect has failed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog


class _Recorder(logging.Handler):
    """Keeps what is logged as an error, whether through logging or through structlog."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record of the standard library's."""
        self.messages.append(record.getMessage())

    def __call__(self, logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Keep an event of structlog's, and pass it on."""
        del logger
        if method in {"error", "exception", "critical", "fatal"}:
            self.messages.append(str(event.get("event")))
        return event


@pytest.fixture
def _error_log() -> Iterator[list[str]]:
    recorder = _Recorder()
    root = logging.getLogger()
    root.addHandler(recorder)
    # In place, because loggers that are bound already hold this very list.
    processors: list[Any] = structlog.get_config()["processors"]
    processors.insert(0, recorder)
    try:
        yield recorder.messages
    finally:
        root.removeHandler(recorder)
        if recorder in processors:
            processors.remove(recorder)


@pytest.fixture
def expects_error_log(_error_log: list[str]) -> list[str]:
    """Messages logged as errors so far; a test that asks for this must have some by its end."""
    return _error_log


@pytest.fixture(autouse=True)
def _errors_are_expected(request: pytest.FixtureRequest, _error_log: list[str]) -> Iterator[None]:
    yield
    if "expects_error_log" in request.fixturenames:
        assert _error_log, "the test expected an error in the log, and there was none"
    else:
        assert not _error_log, f"errors were logged that the test did not expect: {_error_log}"
