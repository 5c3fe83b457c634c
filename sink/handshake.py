"""Tries a TLS handshake with a server, to say in words why its certificate is refused."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from dataclasses import dataclass

TIMEOUT = 5.0
"""Seconds that each step may take."""

# PostgreSQL is asked for TLS in the open first: length and code of its SSLRequest; S is its yes.
_ASK_POSTGRESQL = struct.pack(">ii", 8, 80877103)
_YES = b"S"
_EXPIRED, _NOT_YET = 10, 9
_OTHER_NAME = frozenset({62, 64})
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
# What a server says that wants a certificate of ours and got none, or not one that it trusts.
_CLIENT_REFUSED = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """PEM files: whom to trust (None: the system's authorities) and our own certificate, where the server wants one."""

    authority: str | None = None
    certificate: str | None = None
    key: str | None = None


def refusal(error: ssl.SSLCertVerificationError, host: str) -> str:
    """Say what is wrong with a server's certificate, by OpenSSL's code."""
    code = error.verify_code
    if code == _EXPIRED:
        return f"the certificate of {host} has expired: renew it on the server, and look at this host's clock"
    if code == _NOT_YET:
        return f"the certificate of {host} is not valid yet: look at this host's clock and the server's"
    if code in _OTHER_NAME:
        return (
            f"the certificate of {host} is for another host name: connect by a name that it holds, or have one issued"
            f" for {host}"
        )
    if code in _UNKNOWN_AUTHORITY:
        return f"the certificate of {host} is signed by an authority that is not trusted here"
    return f"the certificate of {host} is refused ({error.verify_message})"


def kafka(host: str, port: int, credentials: Credentials) -> str | None:
    """Say why a broker's TLS listener cannot be used, None where the handshake is fine or nobody answers."""
    return _try(host, port, credentials, asking=b"")


def postgresql(host: str, port: int, credentials: Credentials) -> str | None:
    """Say why TLS with a PostgreSQL server fails, None where the handshake is fine or nobody answers."""
    return _try(host, port, credentials, asking=_ASK_POSTGRESQL)


def _try(host: str, port: int, credentials: Credentials, *, asking: bytes) -> str | None:
    try:
        context = _context(credentials)
    except OSError as error:  # ssl.SSLError is one
        return f"the certificate files that the settings name cannot be read ({error})"
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT) as plain:
            if asking:
                plain.sendall(asking)
                if plain.recv(1) != _YES:
                    return f"the server at {host}:{port} offers no TLS: set ssl = on in its postgresql.conf"
            return _shake_hands(context, plain, host)
    except ssl.SSLCertVerificationError as error:
        return refusal(error, host)
    except ssl.SSLError as error:
        wants = any(word in str(error.reason) for word in _CLIENT_REFUSED)
        words = "it wants a certificate of ours that it trusts" if wants else "is it a TLS listener?"
        return f"the server ended the handshake ({error.reason}): {words}"
    except OSError:
        return None


def _context(credentials: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=credentials.authority)
    if credentials.certificate is not None:
        context.load_cert_chain(credentials.certificate, credentials.key)
    return context


def _shake_hands(context: ssl.SSLContext, plain: socket.socket, host: str) -> str | None:
    with context.wrap_socket(plain, server_hostname=host) as secure:
        # with TLS 1.3 a server refuses our own certificate only after the handshake; one that is content says nothing
        secure.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            secure.recv(1)
    return None
