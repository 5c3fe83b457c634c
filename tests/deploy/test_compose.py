"""docker-compose.yml, as far as it can be read without an engine: what it mounts, pins, sets and waits for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url
from typer.testing import CliRunner

from sink.cli import app
from sink.datasets import DATASETS
from sink.settings import load
from sink.transport import database_exposed, kafka_exposed

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SINKS = [name for name, service in SERVICES.items() if service["image"] == "kafka-timescale-sink"]


def mounts(service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for volume in service.get("volumes", ()):
        source, target = volume.split(":")[:2]
        yield source, target


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    for source, _ in mounts(SERVICES[name]):
        if source.startswith("."):
            assert (ROOT / source).is_dir(), source
            assert any((ROOT / source).iterdir()), source
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in SINKS])
def test_every_image_of_others_is_pinned_to_a_version(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert re.search(r"\d+\.\d+\.\d+", tag), SERVICES[name]["image"]


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_else_on_the_network_gets_in(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:${SINK_STACK_"), port


def test_the_whole_thing_is_there() -> None:
    assert set(SERVICES) == {
        *("broker", "registry", "database"),
        *("migrate", "topics", "sink"),
        *("prometheus", "grafana"),
    }
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["sink"]} == {
        *SINKS,
        "prometheus",
        "grafana",
    }, "`sink stack up` starts what has no profile"


@pytest.mark.parametrize("name", SINKS)
def test_the_sink_takes_its_settings_and_reaches_services_that_are_there(name: str, tmp_path: Path) -> None:
    settings = load(SERVICES[name]["environment"], directory=tmp_path, datasets=DATASETS)
    assert make_url(settings.database_url.get_secret_value()).host in SERVICES
    assert settings.kafka["bootstrap.servers"].partition(":")[0] in SERVICES
    assert re.fullmatch(r"http://registry:8080/.*", str(settings.registry.url))
    assert kafka_exposed(settings.kafka) is None
    exposed = database_exposed({"host": "database"}, {})
    assert exposed is None or settings.allow_insecure_database


@pytest.mark.parametrize("name", SINKS)
def test_the_sink_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert ("state", "/var/lib/sink") in mounts(service)
    asked = CliRunner().invoke(app, [*service["command"], "--help"])
    assert asked.exit_code == 0, asked.output


def test_replicas_have_ports_enough_and_time_to_stop(tmp_path: Path) -> None:
    service = SERVICES["sink"]
    (port,) = service["ports"]
    found = re.search(r":-(\d+)-(\d+)}:8080$", port)
    assert found is not None
    first, last = map(int, found.groups())
    assert 1 < service["scale"] <= last - first + 1
    settings = load(service["environment"], directory=tmp_path)
    assert int(service["stop_grace_period"].removesuffix("s")) > settings.shutdown_timeout + 10


def test_tables_and_topics_are_there_before_the_replicas() -> None:
    awaited = {name: one["condition"] for name, one in SERVICES["sink"]["depends_on"].items()}
    assert awaited == {
        "registry": "service_healthy",
        "migrate": "service_completed_successfully",
        "topics": "service_completed_successfully",
    }
    for name, service in SERVICES.items():
        for other, one in service.get("depends_on", {}).items():
            assert one["condition"] != "service_healthy" or "healthcheck" in SERVICES[other], (name, other)


def test_prometheus_finds_every_replica_and_grafana_finds_prometheus() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    asked = [one for job in scraped for one in job.get("dns_sd_configs", ())]
    assert [(one["names"], one["port"]) for one in asked] == [(["sink"], 8080)]
    targets = {target: source for source, target in mounts(SERVICES["grafana"])}
    provisioning = ROOT / targets["/etc/grafana/provisioning"]
    sources = [
        source
        for file in (provisioning / "datasources").glob("*.y*ml")
        for source in yaml.safe_load(file.read_text())["datasources"]
    ]
    assert [source["url"] for source in sources] == ["http://prometheus:9090"]
    folders = [
        provider["options"]["path"]
        for file in (provisioning / "dashboards").glob("*.y*ml")
        for provider in yaml.safe_load(file.read_text())["providers"]
    ]
    assert [targets[folder] for folder in folders] == ["./deploy/grafana/dashboards"]
