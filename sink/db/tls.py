"""Finds out whether a database that cannot be reached refuses our TLS, or we its certificate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sink import handshake
from sink.db.connect import conninfo
from sink.errors import DefinitionError
from sink.handshake import Credentials
from sink.transport import database_tls

_PORT = 5432
_SYSTEM = "system"
_VERIFYING = frozenset({"verify-ca", "verify-full"})
_DEFAULT_ROOT = Path(".postgresql/root.crt")


def hopeless(url: str, environ: Mapping[str, str]) -> DefinitionError | None:
    """Say why no connection with ``sslmode=verify-full`` comes about, None where TLS is not what prevents it.

    Of several hosts, the first one with a refusal is told. ``environ`` holds libpq's PG* variables, and HOME.
    """
    arguments = conninfo(url)
    mode, root = database_tls(arguments, environ)
    if mode not in _VERIFYING and root != _SYSTEM:
        return None
    authority = None if root == _SYSTEM else Path(root) if root else Path(environ.get("HOME", "/")) / _DEFAULT_ROOT
    if authority is not None and not authority.is_file():
        return DefinitionError(
            f"the file of authorities {authority} does not exist, so the database's certificate cannot be verified:"
            " name the file by sslrootcert=... in DATABASE_URL, or say sslrootcert=system"
        )
    credentials = Credentials(authority=None if authority is None else str(authority))
    for host, port in _addresses(arguments, environ):
        refused = None if host.startswith(("/", "@")) else handshake.postgresql(host, port, credentials)
        if refused is not None:
            return DefinitionError(
                f"no TLS with the database at {host}:{port}: {refused}. DATABASE_URL says"
                f" sslmode={mode or 'verify-full'} and trusts {authority or 'the system'} (sslrootcert)"
            )
    return None


def _addresses(arguments: Mapping[str, object], environ: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    hosts = str(arguments.get("host") or environ.get("PGHOST") or "/").split(",")
    ports = str(arguments.get("port") or environ.get("PGPORT") or _PORT).split(",")
    for index, host in enumerate(hosts):
        port = ports[index] if len(ports) == len(hosts) else ports[0]
        yield host.strip(), int(port) if port.strip().isdecimal() else _PORT
