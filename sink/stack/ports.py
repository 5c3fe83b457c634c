"""Ports of the development servers, all on the loopback address."""

from __future__ import annotations

import socket
from collections.abc import Container
from pathlib import Path
from zlib import crc32

from sink.errors import ConfigError
from sink.stack import processes

LOOPBACK = "127.0.0.1"

# Below the range from which Linux takes the ports of outgoing connections, so that a port that was free when it was
# chosen is not taken by some client while the server is down.
_FIRST, _COUNT = 20_000, 12_000


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose(directory: Path, name: str, *, taken: Container[int] = ()) -> int:
    """Choose a free port; the search starts where no other checkout's search starts, so that two do not meet."""
    start = crc32(f"{directory}/{name}".encode())
    for step in range(_COUNT):
        port = _FIRST + (start + step) % _COUNT
        if port not in taken and is_free(port):
            return port
    raise ConfigError(f"no free port between {_FIRST} and {_FIRST + _COUNT - 1} on {LOOPBACK}; end some servers first")


def fixed(text: str, *, variable: str) -> int:
    """Read a port that a variable fixes."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 2**16):
        raise ConfigError(f"{variable}={text!r} is no port; set a number between 1 and 65535, or unset it")
    return int(text)


def require_free(port: int, *, title: str, variable: str) -> None:
    """Refuse a port that another process holds, naming it and the cure."""
    if is_free(port):
        return
    holder = processes.holder_of_port(port) or "another process, which /proc does not name to this user"
    raise ConfigError(
        f"port {port} on {LOOPBACK}, meant for {title}, is held by {holder}; "
        f"end that process, or choose another port: {variable}=PORT sink stack up"
    )
