"""Says what each path answers, without a socket: method and path in; status, type and body out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Protocol

from prometheus_client.exposition import choose_encoder

from sink import metrics
from sink.http import status
from sink.http.page import Page
from sink.http.status import Process
from sink.view import DatasetView

_JSON = "application/json; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


class Watched(Protocol):
    """One dataset of this process, as every thread may look at it."""

    @property
    def view(self) -> DatasetView:
        """How it stood a second ago."""

    def silence(self) -> float:
        """Give the seconds since its loop last made progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent back."""

    status: HTTPStatus
    type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


FAILED = Answer(status=HTTPStatus.INTERNAL_SERVER_ERROR, type=_TEXT, body=b"the log says why\n")


class Answers:
    """Answers for one process; every method may be called on any thread."""

    def __init__(self, process: Process, watches: Sequence[Watched], page: Page) -> None:
        self._process = process
        self._watches = watches
        self._page = page
        self._paths: dict[str, Callable[[str], Answer]] = {
            "/": self._index,
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/status": self._status,
            "/metrics": self._metrics,
        }

    def answer(self, method: str, path: str, accept: str) -> Answer:
        """Answer a request; ``path`` without its query, ``accept`` is the header of that name."""
        found = self._paths.get(path)
        if found is None:
            return _text(HTTPStatus.NOT_FOUND, f"there are {', '.join(self._paths)}\n")
        if method not in {"GET", "HEAD"}:
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD only\n", {"Allow": "GET, HEAD"})
        return found(accept)

    def _index(self, _accept: str) -> Answer:
        page = self._page
        return Answer(
            status=HTTPStatus.OK,
            type="text/html; charset=utf-8",
            body=page.body,
            headers={"Content-Security-Policy": page.policy},
        )

    def _livez(self, _accept: str) -> Answer:
        told = status.livez({watch.view.dataset: watch.silence() for watch in self._watches})
        return _json(told, fine=told["alive"])

    def _readyz(self, _accept: str) -> Answer:
        told = status.readyz([watch.view for watch in self._watches])
        return _json(told, fine=told["ready"])

    def _status(self, _accept: str) -> Answer:
        told = status.status(self._process, [watch.view for watch in self._watches], now=datetime.now(UTC))
        return _json(told, fine=True)

    def _metrics(self, accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        return Answer(status=HTTPStatus.OK, type=content_type, body=encode(metrics.REGISTRY))


def _json(told: Mapping[str, Any], *, fine: bool) -> Answer:
    code = HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status=code, type=_JSON, body=json.dumps(told, indent=2).encode() + b"\n")


def _text(code: HTTPStatus, said: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status=code, type=_TEXT, body=said.encode(), headers=headers or {})
