"""Apicurio Registry as a native process, used through its Confluent-compatible interface."""

from __future__ import annotations

from collections.abc import Sequence

import httpx

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
        return f"http://{self.address}{API_PATH}"

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
        return answers(self.url)

    def configure(self) -> None:
        """Have it refuse incompatible schemas, as Confluent's registry does by default."""
        require_backward(self.url)


def answers(url: str) -> bool:
    """Say whether the registry at ``url`` answers."""
    try:
        return httpx.get(f"{url}/subjects", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def require_backward(url: str) -> None:
    """Set the compatibility rule BACKWARD at the registry at ``url``, whose own default is none at all."""
    try:
        response = httpx.put(f"{url}/config", json={"compatibility": "BACKWARD"}, timeout=10, trust_env=False)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise TransientError(f"the registry at {url} would not take its compatibility rule: {error}") from error
