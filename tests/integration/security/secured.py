"""A broker and a database of the tests' own that want TLS, passwords and grants."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import struct
import time
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psycopg
from confluent_kafka.admin import (  # type: ignore[attr-defined] # the stub forgets to re-export them
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from sink.kafka.logs import remarks
from sink.stack.broker import Broker
from sink.stack.cache import Cache
from sink.stack.database import Database
from sink.stack.ports import LOOPBACK
from sink.stack.record import MAIN
from tests.fix_sink import make_topics
from tests.integration.security.certificates import DAY, Authority, Issued
from tests.patience import ANSWER

PLAIN_USER, PLAIN_PASSWORD = "plain-user", "plain-password"
SCRAM_USER, SCRAM_PASSWORD = "scram-user", "MARKER-sasl-7f3a"
CLIENT = "sink client"
"""Name in the client's certificate."""

# Later lines win. The PLAINTEXT listener is the administrator's way in; the others ask who is there.
_PROPERTIES = """
listeners=PLAINTEXT://{host}:{main},CONTROLLER://{host}:{controller},SASL://{host}:{sasl},MUTUAL://{host}:{mutual},\
EXPIRED://{host}:{expired},ELSEWHERE://{host}:{elsewhere}
advertised.listeners=PLAINTEXT://{host}:{main},SASL://localhost:{sasl},MUTUAL://localhost:{mutual},\
EXPIRED://localhost:{expired},ELSEWHERE://localhost:{elsewhere}
listener.security.protocol.map=\
PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL,EXPIRED:SSL,ELSEWHERE:SSL
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
connection.failed.authentication.delay.ms=10
ssl.keystore.type=PEM
ssl.keystore.location={good}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.mutual.ssl.client.auth=required
listener.name.expired.ssl.keystore.location={expired_certificate}
listener.name.elsewhere.ssl.keystore.location={elsewhere_certificate}
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,OAUTHBEARER
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{plain_user}="{plain_password}";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="nobody";
"""


class SecuredBroker(Broker):
    """Kafka with a listener for each way to be who one is, and an authorizer."""

    roles = (MAIN, "controller", "sasl", "mutual", "expired", "elsewhere")  # type: ignore[assignment] # more of them

    def __init__(self, *, directory: Path, cache: Cache, environ: Mapping[str, str], authority: Authority) -> None:
        super().__init__(directory=directory, cache=cache, environ=environ)
        self.authority = authority
        self.client = authority.issue(CLIENT)
        self._good = authority.issue("broker", "localhost", LOOPBACK)
        self._expired = authority.issue("expired-broker", "localhost", LOOPBACK, until=-DAY)
        self._elsewhere = authority.issue("elsewhere-broker", "elsewhere.example")

    def prepare(self) -> None:
        """Format the log folder, then ask for TLS, passwords and grants."""
        super().prepare()
        with (self.data / "server.properties").open("a") as file:
            file.write(
                _PROPERTIES.format(
                    host=LOOPBACK,
                    **{role: self.port(role) for role in self.roles},
                    good=self._good.both,
                    authority=self.authority.certificate,
                    expired_certificate=self._expired.both,
                    elsewhere_certificate=self._elsewhere.both,
                    plain_user=PLAIN_USER,
                    plain_password=PLAIN_PASSWORD,
                )
            )

    def configure(self) -> None:
        """Make the user whose password Kafka keeps itself."""
        self.set_password()

    def set_password(self, password: str = SCRAM_PASSWORD) -> None:
        """Change the password of the user with SCRAM."""
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
        made = UserScramCredentialUpsertion(SCRAM_USER, scram, password.encode())
        for future in self.administrator.alter_user_scram_credentials([made]).values():
            future.result(ANSWER)

    @cached_property
    def administrator(self) -> AdminClient:
        """A client that may do anything."""
        return AdminClient({"bootstrap.servers": self.address}, logger=remarks(__name__))

    def options(self, listener: str, **more: str) -> dict[str, str]:
        """Give librdkafka's options for a listener; ``more`` has underscores for dots."""
        return {
            "bootstrap.servers": f"localhost:{self.port(listener)}",
            "security.protocol": "SASL_SSL" if listener == "sasl" else "SSL",
            "ssl.ca.location": str(self.authority.certificate),
            **{name.replace("_", "."): value for name, value in more.items()},
        }

    def plain(self, password: str = PLAIN_PASSWORD) -> dict[str, str]:
        """Give the options of the user with PLAIN, who may do what was granted."""
        return self.options("sasl", sasl_mechanism="PLAIN", sasl_username=PLAIN_USER, sasl_password=password)

    def scram(self) -> dict[str, str]:
        """Give the options of the user with SCRAM."""
        return self.options(
            "sasl", sasl_mechanism="SCRAM-SHA-256", sasl_username=SCRAM_USER, sasl_password=SCRAM_PASSWORD
        )

    def topic(self, *grants: str, user: str = PLAIN_USER) -> str:
        """Make a topic with one partition on which the user has grants."""
        name = f"secured-{uuid.uuid4().hex[:8]}.trades"
        make_topics(self.address, [name], 1)
        self.grant(ResourceType.TOPIC, name, *grants, user=user)
        return name

    def grant(self, kind: ResourceType, name: str, *operations: str, user: str = PLAIN_USER) -> None:
        """Allow operations on a topic or group."""
        for operation in operations:
            binding = AclBinding(
                kind,
                name,
                ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
            for future in self.administrator.create_acls([binding]).values():
                future.result(ANSWER)


DATABASE_PASSWORD = "MARKER-database-51c9"


class SecuredDatabase(Database):
    """PostgreSQL that takes passwords over TLS only; its certificate can be exchanged while it runs."""

    def __init__(self, *, directory: Path, cache: Cache, environ: Mapping[str, str], authority: Authority) -> None:
        super().__init__(directory=directory, cache=cache, environ=environ)
        self.authority = authority
        self.good = authority.issue("database", "localhost", LOOPBACK)
        self.expired = authority.issue("expired-database", "localhost", LOOPBACK, until=-DAY)
        self.elsewhere = authority.issue("elsewhere-database", "elsewhere.example")

    def prepare(self) -> None:
        """Make the data folder, then ask for TLS and passwords of everybody but the administrator."""
        super().prepare()
        self._put(self.good)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("\nssl = on\nssl_cert_file = 'own.crt'\nssl_key_file = 'own.key'\n")
        (self.data / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        )

    def serve(self, issued: Issued) -> None:
        """Exchange the certificate, and wait until new connections see it."""
        self._put(issued)
        wanted = issued.certificate.read_text()
        with psycopg.connect(self.administrator_url(), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        until = time.monotonic() + 30
        while self._served() != wanted:
            assert time.monotonic() < until, "the server does not take its new certificate"
            time.sleep(0.05)

    def administrator_url(self, database: str = "postgres") -> str:
        """Give libpq's URL for the administrator."""
        return f"postgresql://postgres@{self.address}/{database}"

    def login(self, user: str, *, host: str = "localhost", database: str = "ingestion", **options: object) -> str:
        """Give SQLAlchemy's URL for a role with the password; ``options`` are libpq's."""
        query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in options.items())
        port = self.address.rpartition(":")[2]
        return f"postgresql+psycopg://{user}:{DATABASE_PASSWORD}@{host}:{port}/{database}?{query}"

    def verified(self, user: str, *, host: str = "localhost", authority: Authority | None = None) -> str:
        """Give SQLAlchemy's URL for a role, with sslmode=verify-full."""
        trusted = (authority or self.authority).certificate
        return self.login(user, host=host, sslmode="verify-full", sslrootcert=trusted)

    def _put(self, issued: Issued) -> None:
        owner = self.data.stat()
        for source, name in ((issued.certificate, "own.crt"), (issued.key, "own.key")):
            target = self.data / name
            part = target.with_suffix(".part")
            shutil.copyfile(source, part)
            part.chmod(0o600)
            os.chown(part, owner.st_uid, owner.st_gid)
            part.replace(target)

    def _served(self) -> str:
        host, _, port = self.address.rpartition(":")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((host, int(port)), timeout=5) as plain:
            plain.sendall(struct.pack(">ii", 8, 80877103))
            assert plain.recv(1) == b"S"
            with context.wrap_socket(plain) as secure:
                certificate = secure.getpeercert(binary_form=True)
                assert certificate is not None
                return ssl.DER_cert_to_PEM_cert(certificate)


def environment(options: Mapping[str, str]) -> dict[str, str]:
    """Give librdkafka's options as the sink's variables."""
    return {f"SINK_KAFKA__{name.replace('.', '_').upper()}": value for name, value in options.items()}
