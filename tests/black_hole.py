"""A wire to a server that a test can freeze: connections stay open, and nothing comes through any more."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Wire:
    """Passes bytes between its own port and a server while it flows."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._start(self._accept)

    def freeze(self) -> None:
        """Swallow what is sent from now on until :meth:`thaw`, and accept connections without a word."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let everything through again, also what was held."""
        self._flowing.set()

    def close(self) -> None:
        """Close the port and all connections."""
        self._flowing.set()
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(self._server)
                self._ends += [ours, theirs]
                self._start(self._pass, ours, theirs)
                self._start(self._pass, theirs, ours)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._flowing.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _start(self, call: object, *arguments: object) -> None:
        threading.Thread(target=call, args=arguments, daemon=True).start()  # type: ignore[arg-type]


@contextmanager
def wire_to(host: str, port: int) -> Iterator[Wire]:
    """Lay a wire to a server for a while."""
    wire = Wire(host, port)
    try:
        yield wire
    finally:
        wire.close()
