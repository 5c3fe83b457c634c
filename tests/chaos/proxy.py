"""A TCP proxy before PostgreSQL that cuts, delays, swallows, and loses a COMMIT or the answer to it.

It reads the frames that clients send, so that it knows a flush's COMMIT; what servers send it reads only while it waits
for the answer to one.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Self

_SPECIAL = frozenset({80877102, 80877103, 80877104})
"""Codes of cancel, TLS and GSS requests, which come before or instead of the start-up packet."""
_COMMIT = b"COMMIT\0"
_MARK = b"sink.flushes"
"""Stands in a statement of every transaction that makes messages durable."""
_BACKLOG = 64


class Fate(Enum):
    """What becomes of a flush's COMMIT; the connection is cut afterwards."""

    REQUEST_LOST = "the COMMIT never arrives"
    ANSWER_LOST = "the COMMIT is done, its answer never arrives"


class _Link:
    """One client's connection and the one to the server behind it."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._awaiting = False
        self._closed = False

    def start(self) -> None:
        """Forward in both directions until one side ends."""
        for work in (self._from_client, self._from_server):
            threading.Thread(target=self._guarded, args=(work,), name="proxy", daemon=True).start()

    def cut(self) -> None:
        """End both sides at once."""
        self._closed = True
        for side in (self._client, self._server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(OSError, EOFError):
            work()
        self.cut()
        self._proxy.forget(self)

    def _send(self, side: socket.socket, data: bytes) -> None:
        self._proxy.hold()
        if self._closed:
            raise EOFError
        side.sendall(data)

    def _from_client(self) -> None:
        durable = False
        for frame in self._frames():
            if frame[:1] in {b"Q", b"P"}:
                durable = durable or _MARK in frame
                if _COMMIT in frame:
                    fate = self._proxy.next_fate() if durable else None
                    durable = False
                    if fate is Fate.REQUEST_LOST:
                        return
                    self._awaiting = fate is Fate.ANSWER_LOST
            self._send(self._server, frame)

    def _frames(self) -> Iterator[bytes]:
        """Give what the client sends, a protocol message at a time."""
        while True:
            size, code = struct.unpack(">ii", self._exactly(8))
            yield struct.pack(">ii", size, code) + self._exactly(size - 8)
            if code not in _SPECIAL:
                break
        while True:
            head = self._exactly(5)
            (size,) = struct.unpack(">i", head[1:])
            yield head + self._exactly(size - 4)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = self._client.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return bytes(data)

    def _from_server(self) -> None:
        while data := self._server.recv(65_536):
            # a COMMIT is sent when everything before it was answered: its answer begins a packet
            if self._awaiting and data[:1] in b"CNZ1" and _COMMIT in data:
                self._proxy.lost_an_answer()
                return
            self._send(self._client, data)


class Proxy:
    """Listens on a port of its own; ``address`` is where clients connect instead."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._fates: deque[Fate] = deque()
        self._flowing = threading.Event()
        self._flowing.set()
        self._woken = threading.Event()
        self._delay = 0.0
        self.met = 0
        """How many flushes met the fate that they were given."""
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._listening.getsockname()[:2]
        return str(host), int(port)

    def give(self, fates: list[Fate]) -> None:
        """Let the next flushes' COMMITs meet these fates."""
        with self._lock:
            self._fates.extend(fates)

    def cut(self) -> None:
        """Cut every connection."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.cut()

    def swallow(self) -> None:
        """Forward nothing more, close nothing: a black hole, until :meth:`heal`."""
        self._flowing.clear()

    def slow(self, seconds: float) -> None:
        """Let every packet wait, until :meth:`heal`."""
        self._delay = seconds

    def heal(self) -> None:
        """Be a wire again."""
        with self._lock:
            self._fates.clear()
        self._delay = 0.0
        self._flowing.set()

    def hold(self) -> None:
        """Keep a packet back as long as it takes."""
        self._flowing.wait()
        if self._delay:
            self._woken.wait(self._delay)

    def next_fate(self) -> Fate | None:
        """Say what becomes of a COMMIT that is about to pass."""
        with self._lock:
            fate = self._fates.popleft() if self._fates else None
            self.met += fate is Fate.REQUEST_LOST
            return fate

    def lost_an_answer(self) -> None:
        """Count one."""
        with self._lock:
            self.met += 1

    def forget(self, link: _Link) -> None:
        """Know a connection no longer."""
        with self._lock:
            self._links.discard(link)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._woken.set()
        self.heal()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(self._target, timeout=5)
                except OSError:
                    client.close()  # the server is away: refused, as the server's own port would
                    continue
                server.settimeout(None)
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                link = _Link(self, client, server)
                with self._lock:
                    self._links.add(link)
                link.start()
