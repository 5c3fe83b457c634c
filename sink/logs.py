"""Structured logs on stderr: lines for people, or one JSON object a record for machines.

What other libraries log through the standard library comes out in the same form. Fields named like a secret and the
passwords of URLs are masked on the way out; keeping payloads out is the caller's part.
"""

from __future__ import annotations

import logging
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from sink.redaction import redact

_TALKATIVE = ("httpcore", "httpx", "sqlalchemy")
"""They log requests and statements with their parameters, which may be payloads: warnings only."""


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring again replaces it and leaves the handlers of others alone."""


def configure(*, form: Literal["auto", "console", "json"], level: str, stream: TextIO) -> None:
    """Send every log record of the process to ``stream``; calling again replaces what was set before.

    ``auto`` is console on a terminal and JSON otherwise. ``level`` (debug, info, warning, error) is the sink's own;
    other libraries are never let below info.
    """
    is_terminal = stream.isatty()
    for_people = form == "console" or (form == "auto" and is_terminal)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_for_people(colors=is_terminal) if for_people else _for_machines()),
            ],
        )
    )
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    own = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(own, logging.INFO))
    logging.getLogger("sink").setLevel(own)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(own, logging.WARNING))
    logging.captureWarnings(True)


def _for_people(*, colors: bool) -> list[Processor]:
    # The traceback is text by now: a renderer that draws it anew would show local variables, secrets among them.
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]


def _for_machines() -> list[Processor]:
    return [_in_order, structlog.processors.JSONRenderer(default=str)]


def _redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    # A leading underscore marks what structlog itself passes from processor to formatter.
    return {key: value if key.startswith("_") else redact(key, value) for key, value in event.items()}


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    first = ("timestamp", "level", "event")
    return {key: event[key] for key in first if key in event} | dict(event)
