"""Apicurio Registry as a native process, used through its Confluent-compatible interface."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from sink.errors import TransientError
from sink.stack import downloads
from sink.stack.ports import LOOPBACK
from sink.stack.record import MAIN
from sink.stack.server import Server

API_PATH = "/apis/ccompat/v7"


class Registry(Server):
    """The schema registry."""

    name = "registry"
    title = "the schema registry"
    version = f"Apicurio Registry {downloads.APICURIO}"
    port_variable = "SINK_STACK_REGISTRY_PORT"
    tools = ("java",)
    install_tools = ("mvn", "tar")

    @property
    def url(self) -> str:
        """Where the Confluent-compatible interface is."""
        return registry_url(self.address)

    def installed(self) -> bool:
        """Say whether the distribution is in the cache."""
        return (self.cache.path / f"apicurio-{downloads.APICURIO}").is_dir()

    def install(self) -> None:
        """Download the distribution, unless it is there."""
        downloads.apicurio(self.cache)

    def prepare(self) -> None:
        """Make the folders of its database and of its temporary files."""
        (self.data / "tmp").mkdir(parents=True, exist_ok=True)

    def command(self) -> Sequence[str]:
        """Give the registry's command."""
        (jar,) = (self.cache.path / f"apicurio-{downloads.APICURIO}").glob("*-runner.jar")
        # Compiled lightly: it starts in half the time, and is never busy.
        options = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]
        return ["java", *options, f"-Djava.io.tmpdir={self.data / 'tmp'}", "-jar", str(jar)]

    def environment(self) -> dict[str, str]:
        """Give the registry's settings, which it takes from the environment."""
        return super().environment() | {
            "HTTP_PORT": str(self.port(MAIN)),
            "QUARKUS_HTTP_HOST": LOOPBACK,
            "ENABLE_CCOMPAT_CANONICAL_HASH_MODE": "true",
            "REGISTRY_DATASOURCE_URL": f"jdbc:h2:file:{self.data / 'registry'}",
        }

    def answers(self) -> bool:
        """Say whether the registry answers."""
        return answers(self.address)

    def configure(self) -> None:
        """Have it refuse incompatible schemas, as Confluent's registry does by default."""
        require_backward(self.address)


def registry_url(address: str) -> str:
    """Give the address of the Confluent-compatible interface of the registry at ``address``."""
    return f"http://{address}{API_PATH}"


def answers(address: str) -> bool:
    """Say whether the registry at ``address`` (``host:port``) answers."""
    try:
        return _status(address, "GET", "/subjects", body=None, seconds=2) == HTTPStatus.OK
    except (OSError, HTTPException):
        return False


def require_backward(address: str) -> None:
    """Set the compatibility rule BACKWARD at the registry at ``address``, whose own default is none at all."""
    try:
        status = _status(address, "PUT", "/config", body='{"compatibility": "BACKWARD"}', seconds=10)
    except (OSError, HTTPException) as error:
        raise TransientError(f"the registry at {address} did not take its compatibility rule: {error}") from error
    if status != HTTPStatus.OK:
        raise TransientError(f"the registry at {address} did not take its compatibility rule: HTTP status {status}")


def _status(address: str, method: str, path: str, *, body: str | None, seconds: float) -> int:
    connection = HTTPConnection(address, timeout=seconds)
    try:
        connection.request(method, API_PATH + path, body=body, headers={"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()
