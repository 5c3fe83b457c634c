from __future__ import annotations

import json
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from sink.errors import ConfigError, TransientError
from sink.stack import Stack
from sink.stack.broker import Broker
from sink.stack.database import Database
from sink.stack.docker import COMPOSE_FILE, Compose, Container, engine_answers
from sink.stack.registry import Registry
from sink.stack.server import Server
from tests.unit.stack.fake_docker import FakeDocker

DOCKER = {"SINK_STACK_BACKEND": "docker", "PATH": "/usr/bin"}


class AcceptingRegistry(BaseHTTPRequestHandler):
    """Takes every setting and remembers the last."""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen = (self.path, json.loads(body))  # type: ignore[attr-defined] # handed over to the test
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_up_starts_every_service_on_its_port_and_writes_the_settings(tmp_path: Path) -> None:
    docker = FakeDocker({"images": (0, "sha256:1\n")})
    with HTTPServer(("127.0.0.1", 0), AcceptingRegistry) as registry:
        thread = Thread(target=registry.handle_request)
        thread.start()
        environ = DOCKER | {"SINK_STACK_REGISTRY_PORT": str(registry.server_port), "SINK_STACK_KAFKA_PORT": "9999"}
        stack = Stack(tmp_path / "stack", environ=environ, run=docker)
        stack.up()
        thread.join()
        assert registry.seen == ("/apis/ccompat/v7/config", {"compatibility": "BACKWARD"})  # type: ignore[attr-defined]
    assert {f"up --detach --wait {name}" for name in ("broker", "registry", "database")} <= docker.asked()
    assert docker.environs[-1]["SINK_STACK_KAFKA_PORT"] == "9999"
    written = dict(line.split("=", 1) for line in stack.env_file.read_text().splitlines())
    port = docker.environs[-1]["SINK_STACK_DATABASE_PORT"]
    assert written == {
        "DATABASE_URL": f"postgresql+psycopg://postgres:postgres@127.0.0.1:{port}/ingestion",
        "SINK_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9999",
        "SINK_REGISTRY__URL": f"http://127.0.0.1:{registry.server_port}/apis/ccompat/v7",
    }
    stack.down()
    assert "down" in docker.asked()
    assert "down --volumes" not in docker.asked()
    assert not stack.env_file.exists()
    stack.reset()
    assert "down --volumes" in docker.asked()
    assert [path.name for path in stack.directory.iterdir()] == ["lock"]


def test_the_backend_that_was_used_first_is_kept_until_reset(tmp_path: Path) -> None:
    (tmp_path / "backend").write_text("docker")
    assert Stack(tmp_path, environ={"SINK_STACK_BACKEND": "native"}, run=FakeDocker()).backend == "docker"


def test_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SINK_STACK_BACKEND='podman': choose native or docker"):
        Stack(tmp_path, environ={"SINK_STACK_BACKEND": "podman"})


def test_native_servers_run_where_no_engine_answers(tmp_path: Path) -> None:
    (tmp_path / "docker").touch(mode=0o755)
    environ = {"PATH": str(tmp_path), "SINK_STACK_CACHE": str(tmp_path)}
    silent = FakeDocker({"info": (1, "Cannot connect to the Docker daemon")})
    assert not engine_answers(environ, silent)
    assert Stack(tmp_path / "stack", environ=environ, run=silent).backend == "native"
    assert engine_answers(environ, FakeDocker())
    assert Stack(tmp_path / "stack", environ=environ, run=FakeDocker()).backend == "docker"


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        ({"State": "running", "Health": "healthy"}, "running"),
        ({"State": "running", "Health": "starting"}, "not answering"),
        ({"State": "exited", "Health": ""}, "stopped"),
        (None, "stopped"),
    ],
)
def test_the_state_of_a_service_is_read_from_compose(tmp_path: Path, shown: dict[str, str] | None, state: str) -> None:
    docker = FakeDocker({"ps": (0, "" if shown is None else json.dumps(shown) + "\n")})
    assert {server.state for server in Stack(tmp_path, environ=DOCKER, run=docker).status()} == {state}


def test_faults_are_signals_to_the_service(tmp_path: Path) -> None:
    docker = FakeDocker()
    compose = Compose(directory=tmp_path, ports={}, environ={}, run=docker)
    database = Container(name="database", port=1, compose=compose)
    database.kill(signal.SIGSTOP)
    database.stop("immediate")
    database.stop()
    assert [" ".join(command[6:]) for command in docker.commands] == [
        "kill --signal SIGSTOP database",
        "kill --signal SIGQUIT database",
        "stop database",
    ]


def test_a_failing_compose_command_is_shown_with_what_it_said(tmp_path: Path) -> None:
    docker = FakeDocker({"up": (1, "port is already allocated\n")})
    compose = Compose(directory=tmp_path, ports={}, environ={}, run=docker)
    with pytest.raises(
        TransientError, match=r"`docker compose .* up .*` ended with status 1:\nport is already allocated"
    ):
        Container(name="broker", port=1, compose=compose).start()


def test_the_compose_file_is_valid_by_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE_FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", [Broker, Registry, Database])
def test_every_service_is_pinned_healthy_and_on_the_loopback_address(kind: type[Server]) -> None:
    service = yaml.safe_load(COMPOSE_FILE.read_text())["services"][kind.name]
    assert service["image"].rpartition(":")[2][0].isdigit()
    assert service["healthcheck"]["test"][0] == "CMD"
    (published,) = service["ports"]
    assert published.startswith(f"127.0.0.1:${{{kind.port_variable}:-")
