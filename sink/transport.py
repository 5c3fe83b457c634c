"""Says which connections would carry passwords or rows where others can read or change them; asks no network."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

ALLOW_DATABASE = "SINK_ALLOW_INSECURE_DATABASE"
ALLOW_KAFKA = "SINK_ALLOW_INSECURE_KAFKA"
ALLOW_REGISTRY = "SINK_ALLOW_INSECURE_REGISTRY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """A connection that is open to others, and what closes it."""

    found: str
    cure: str

    def __str__(self) -> str:
        return f"{self.found}. {self.cure}"


def is_local(host: str) -> bool:
    """Whether a host is this machine for certain: a Unix socket (none, a path, ``@name``), localhost or loopback."""
    bare = host.strip().strip("[]")
    if not bare or bare.startswith(("/", "@")) or bare.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def database_exposed(arguments: Mapping[str, object], environ: Mapping[str, str]) -> Exposed | None:
    """Say how a database connection is open to others, None where it is not.

    ``arguments`` are libpq's, ``environ`` holds its PG* variables. Only ``verify-full`` (which
    ``sslrootcert=system`` implies) proves to the sink who answers; libpq's default proves nothing.
    """
    hosts = list(_database_hosts(arguments, environ))
    away = [host for host in hosts if not is_local(host)]
    mode, root = database_tls(arguments, environ)
    if not away or mode == "verify-full" or (not mode and root == "system"):
        return None
    return Exposed(
        found=f"the connection to the database at {', '.join(away)} does not verify the server"
        f" (sslmode={mode or 'prefer'}): whoever answers there gets the password and the rows",
        cure="Put ?sslmode=verify-full&sslrootcert=/path/to/authority.pem at the end of DATABASE_URL; on a network that"
        f" you trust instead, set {ALLOW_DATABASE}=true",
    )


def database_tls(arguments: Mapping[str, object], environ: Mapping[str, str]) -> tuple[str, str]:
    """Give ``sslmode`` and ``sslrootcert`` as libpq takes them, empty where nobody says."""
    mode = str(arguments.get("sslmode") or environ.get("PGSSLMODE") or "")
    return mode, str(arguments.get("sslrootcert") or environ.get("PGSSLROOTCERT") or "")


def kafka_exposed(options: Mapping[str, str]) -> Exposed | None:
    """Say how connections to brokers are open to others, None where they are not.

    Without a password and without TLS nothing is claimed to be safe, so that is not refused.
    """
    away = [host for host in broker_hosts(options) if not is_local(host)]
    protocol = options.get("security.protocol", "plaintext").lower()
    if not away:
        return None
    if protocol == "sasl_plaintext":
        return Exposed(
            found=f"the password for Kafka would cross the network to {', '.join(away)} in the open",
            cure="Set SINK_KAFKA__SECURITY_PROTOCOL=SASL_SSL (and SINK_KAFKA__SSL_CA_LOCATION for an authority of your"
            f" own); on a network that you trust instead, set {ALLOW_KAFKA}=true",
        )
    unchecked = [
        name
        for name, off in (
            ("enable.ssl.certificate.verification", "false"),
            ("ssl.endpoint.identification.algorithm", "none"),
        )
        if options.get(name, "").lower() == off
    ]
    if protocol.endswith("ssl") and unchecked:
        return Exposed(
            found=f"{' and '.join(unchecked)} leave open who answers at {', '.join(away)}",
            cure="Remove them and set SINK_KAFKA__SSL_CA_LOCATION to the authority's certificate; on a network that you"
            f" trust instead, set {ALLOW_KAFKA}=true",
        )
    return None


def registry_exposed(urls: Sequence[str], *, user: str | None) -> Exposed | None:
    """Say how connections to the registry carry a password in the open, None where they do not."""
    plain = [urlsplit(url) for url in urls if url.lower().startswith("http://")]
    away = [parts.hostname for parts in plain if parts.hostname and not is_local(parts.hostname)]
    if not away or user is None:
        return None
    return Exposed(
        found=f"the password for the schema registry would cross the network to {', '.join(away)} in the open",
        cure="Use an https:// address in SINK_REGISTRY__URL; on a network that you trust instead, set"
        f" {ALLOW_REGISTRY}=true",
    )


def broker_hosts(options: Mapping[str, str]) -> list[str]:
    """Give the hosts of ``bootstrap.servers``."""
    return [host for host, _ in broker_addresses(options)]


def broker_addresses(options: Mapping[str, str]) -> list[tuple[str, int]]:
    """Give host and port of each of ``bootstrap.servers``, as librdkafka reads them."""
    found = []
    for server in options.get("bootstrap.servers", "").split(","):
        address = server.strip().rpartition("://")[2]
        host, colon, port = address.rpartition(":")
        if colon and port.isdecimal() and (":" not in host or host.startswith("[")):
            found.append((host.strip("[]"), int(port)))
        elif address:
            found.append((address.strip("[]"), 9092))
    return found


def _database_hosts(arguments: Mapping[str, object], environ: Mapping[str, str]) -> Iterator[str]:
    if arguments.get("service") or environ.get("PGSERVICE"):
        yield "a host that a service file names"
        return
    # hostaddr says where the connection goes, host only what the certificate must say
    for name, variable in (("hostaddr", "PGHOSTADDR"), ("host", "PGHOST")):
        given = str(arguments.get(name) or environ.get(variable) or "")
        if given:
            yield from (part.strip() for part in given.split(","))
            return
    yield ""
