"""A stand-in for a Kafka broker that its controller has fenced: it answers, as if its cluster had no broker at all.

So answers a broker in its first moments, and one that was starved for longer than its session lasts. Speaks just enough
of the protocol (kafka.apache.org/protocol): ApiVersions 0 and Metadata 4, which have no flexible fields.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_METADATA, _API_VERSIONS = 3, 18
_UNSUPPORTED_VERSION = 35
_UNKNOWN_TOPIC = 3
_NODE = 1


class Broker:
    """Says of itself that it is its cluster's only broker, until it is fenced; topics it never has any."""

    def __init__(self) -> None:
        self.fenced = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self.bootstrap_servers = f"127.0.0.1:{self._port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close the port."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, client.makefile("rb") as stream:
            while head := stream.read(4):
                request = stream.read(*struct.unpack(">i", head))
                api, version, correlation, name = struct.unpack(">hhih", request[:10])
                body = request[10 + name :]
                said = self._metadata(body) if api == _METADATA else _versions(version)
                client.sendall(struct.pack(">ii", 4 + len(said), correlation) + said)

    def _metadata(self, body: bytes) -> bytes:
        brokers, controller = b"", -1
        if not self.fenced:
            brokers = struct.pack(">i", _NODE) + _text("127.0.0.1") + struct.pack(">ih", self._port, -1)
            controller = _NODE
        topics = _names(body)
        return (
            struct.pack(">ii", 0, bool(brokers))
            + brokers
            + _text("a-cluster")
            + struct.pack(">ii", controller, len(topics))
            + b"".join(struct.pack(">h", _UNKNOWN_TOPIC) + _text(name) + bytes(5) for name in topics)
        )


def _versions(version: int) -> bytes:
    apis = [(_METADATA, 0, 4), (_API_VERSIONS, 0, 0)]
    said = struct.pack(">hi", _UNSUPPORTED_VERSION if version else 0, len(apis))
    return said + b"".join(struct.pack(">hhh", *one) for one in apis)


def _names(body: bytes) -> list[str]:
    """Read which topics are asked for; none where all are."""
    (count,), rest, names = struct.unpack(">i", body[:4]), body[4:], list[str]()
    for _ in range(count):
        (length,) = struct.unpack(">h", rest[:2])
        names.append(rest[2 : 2 + length].decode())
        rest = rest[2 + length :]
    return names


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


@contextmanager
def broker() -> Iterator[Broker]:
    """Run such a broker on a free port of this machine."""
    one = Broker()
    try:
        yield one
    finally:
        one.close()
