"""A Prometheus of our own that scrapes sinks, with the rules of deploy/ as they are, and the questions put to it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.processes import Children, Gone
from benchmarks.systems.system import Command
from sink.errors import ConfigError
from sink.stack.ports import LOOPBACK, choose
from sink.stack.processes import wait_until

RULES = Path(__file__).parents[1] / "deploy/prometheus/rules.yml"
JOB = "sink"
_START_SECONDS = 60.0
_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of an answer: times in Unix seconds, values that are numbers."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as it is now: ``pending`` or ``firing``."""

    name: str
    state: str
    labels: tuple[tuple[str, str], ...]


class Prometheus:
    """Asks a server that runs."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def ready(self) -> bool:
        """Say whether it answers."""
        try:
            return self._client.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def now(self, expr: str) -> list[Series]:
        """Evaluate an expression now; raises ValueError with Prometheus' sentence where it is none."""
        found = self._ask("query", query=expr)
        if found["resultType"] == "scalar":
            return [_series({}, [found["result"]])]
        return [_series(one["metric"], [one["value"]]) for one in found["result"]]

    def over(self, expr: str, *, start: float, end: float, step: float) -> list[Series]:
        """Evaluate an expression over a time in Unix seconds."""
        found = self._ask("query_range", query=expr, start=start, end=end, step=step)
        return [_series(one["metric"], one["values"]) for one in found["result"]]

    def alerts(self) -> list[Alert]:
        """Give the alerts that are pending or firing."""
        return [
            Alert(
                name=one["labels"]["alertname"],
                state=one["state"],
                labels=tuple(sorted((name, value) for name, value in one["labels"].items() if name != "alertname")),
            )
            for one in self._ask("alerts")["alerts"]
        ]

    def failing_rules(self) -> list[str]:
        """Name the rules that could not be evaluated, each with Prometheus' sentence."""
        groups = self._ask("rules")["groups"]
        return [
            f"{rule['name']}: {rule['lastError']}" for one in groups for rule in one["rules"] if rule.get("lastError")
        ]

    def _ask(self, what: str, **parameters: Any) -> Any:
        told = self._client.get(f"/api/v1/{what}", params=parameters).json()
        if told["status"] != "success":
            raise ValueError(told["error"])
        return told["data"]


def _series(labels: Mapping[str, str], values: Sequence[tuple[float, str]]) -> Series:
    points = [(float(at), float(value)) for at, value in values]
    return Series(labels=labels, points=[(at, value) for at, value in points if math.isfinite(value)])


@contextmanager
def scraping(targets: Sequence[str], *, directory: Path, every: float) -> Iterator[Prometheus]:
    """Run a Prometheus in a directory that scrapes targets (``host:port``) and evaluates the rules ``every`` seconds.

    Raises ConfigError where the program is missing, Gone where it does not start.
    """
    program = shutil.which("prometheus")
    if program is None:
        raise ConfigError("there is no prometheus here; install with: sudo apt-get install -y prometheus")
    directory.mkdir(parents=True)
    interval = f"{round(every * 1_000)}ms"
    config = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": [*targets]}]}],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"{LOOPBACK}:{choose(directory, 'prometheus')}"
    command = Command(
        arguments=[
            program,
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ]
    )
    with Children([(command, directory)], {}) as children:
        server = Prometheus(f"http://{address}")
        try:
            if not wait_until(lambda: children.ended or server.ready(), seconds=_START_SECONDS) or children.ended:
                raise Gone(f"Prometheus does not answer:\n{children.output[-2000:]}")
            yield server
        finally:
            server.close()
            children.terminate()
