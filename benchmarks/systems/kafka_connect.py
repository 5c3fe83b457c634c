"""Kafka Connect, standalone, with Debezium's JDBC sink, as fast as it is correct."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import make_url

from benchmarks.systems.system import Command, Job, System
from sink.avro.schemas import shipped_schema
from sink.datasets import DATASETS
from sink.errors import ConfigError
from sink.stack.cache import Cache

FOLDER = Path(__file__).parent / "connect"
BATCH = 3_000
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.0:copy-dependencies"
# What the worker brings itself: a second copy in the plugin's folder clashes with it.
_WORKERS_OWN = "org.apache.kafka,com.fasterxml.jackson.core,org.slf4j"
_LONGEST = 1800
_JVM = ("java", "-Xms256m", "-Xmx2g", "-XX:+UseG1GC", "-Djava.awt.headless=true")
_CONVERTER = "benchmarks.AvroConverter"
_DEAD = ("Task threw an uncaught", "Failed to create job", "Stopping after connector error")


class KafkaConnect(System):
    """Upsert by UNNEST with the reduction buffer; a converter of our own that needs no registry."""

    name = "debezium"
    title = "Kafka Connect 4.3.1 + Debezium JDBC 3.5.0"
    ends = False

    def missing(self) -> str | None:
        """Say which of Java's tools are not there."""
        absent = [tool for tool in ("java", "javac", "mvn") if shutil.which(tool) is None]
        if not absent:
            return None
        return (
            f"needs {', '.join(absent)}; install with: sudo apt-get install -y --no-install-recommends"
            " default-jdk-headless maven"
        )

    def prepare(self) -> None:
        """Fetch the worker and the plugin, and compile the converter, unless they are there."""
        self._worker()
        self._plugins()

    def command(self, job: Job) -> Command:
        """Write the worker's and the connector's settings, and start the worker."""
        schema = job.directory / "schema.avsc"
        schema.write_text(json.dumps(shipped_schema(job.workload.dataset).json))
        worker = _properties(job.directory / "worker.properties", self._worker_settings(job))
        connector = _properties(job.directory / "connector.properties", self._connector_settings(job, schema))
        logging = f"-Dlog4j2.configurationFile={FOLDER / 'log4j2.properties'}"
        classes = str(self._worker() / "*")
        return Command(
            arguments=(
                *(*_JVM, logging, "-cp", classes, "org.apache.kafka.connect.cli.ConnectStandalone"),
                *(str(worker), str(connector)),
            )
        )

    def complaint(self, output: str) -> str | None:
        """Find a dead task, which leaves the worker alive."""
        for sign in _DEAD:
            if sign in output:
                return output[output.index(sign) :][:2_000]
        return None

    def _worker_settings(self, job: Job) -> dict[str, object]:
        return {
            "bootstrap.servers": job.bootstrap_servers,
            "plugin.path": self._plugins(),
            "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
            "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
            "offset.storage.file.filename": job.directory / "offsets",
            "plugin.discovery": "service_load",
            "offset.flush.interval.ms": 1_000,
            "listeners": "http://127.0.0.1:0",
            "connector.client.config.override.policy": "All",
        }

    def _connector_settings(self, job: Job, schema: Path) -> dict[str, object]:
        dataset, url = DATASETS[job.workload.dataset], make_url(job.database_url)
        batch = job.batch or BATCH
        return {
            "name": job.group,
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "tasks.max": min(job.workload.partitions, os.cpu_count() or 1),
            "topics": job.topic,
            "value.converter": _CONVERTER,
            "value.converter.schema.file": schema,
            "value.converter.columns": ",".join(dataset.columns),
            "connection.url": f"jdbc:postgresql://{url.host}:{url.port}/{url.database}?reWriteBatchedInserts=true",
            "connection.username": url.username,
            "connection.password": url.password,
            "insert.mode": "upsert",
            "primary.key.mode": "record_value",
            "primary.key.fields": ",".join(dataset.key),
            "collection.name.format": dataset.name,
            "schema.evolution": "none",
            "use.reduction.buffer": "true",
            "dialect.postgres.unnest.insert.enabled": "true",
            "batch.size": batch,
            "consumer.override.group.id": job.group,
            "consumer.override.max.poll.records": batch,
            "consumer.override.auto.offset.reset": "earliest",
            "consumer.override.isolation.level": "read_committed",
        }

    def _worker(self) -> Path:
        pom = FOLDER / "worker.xml"
        return _cache().folder(f"bench-worker-{_digest(pom)}", lambda part, lock: _fetch(pom, part, lock))

    def _plugins(self) -> Path:
        pom, source = FOLDER / "plugin.xml", FOLDER / "AvroConverter.java"

        def build(part: Path, lock: int) -> None:
            jars = part / "debezium"
            jars.mkdir()
            _fetch(pom, jars, lock, f"-DexcludeGroupIds={_WORKERS_OWN}")
            _compile(source, jars, [self._worker(), jars], lock)

        return _cache().folder(f"bench-plugins-{_digest(pom, source)}", build)


def _cache() -> Cache:
    return Cache.of_user(os.environ)


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _fetch(pom: Path, target: Path, lock: int, *options: str) -> None:
    """Copy everything that a POM names into a folder."""
    repository = f"-Dmaven.repo.local={_cache().path / 'maven-bench'}"
    _run(
        [
            *("mvn", "--batch-mode", "--quiet", "--strict-checksums", "-Dstyle.color=never", repository, _GOAL),
            *("-DincludeScope=runtime", f"-DoutputDirectory={target}", f"--file={pom}", *options),
        ],
        lock,
    )


def _compile(source: Path, target: Path, libraries: Sequence[Path], lock: int) -> None:
    """Compile one source against libraries, into a jar beside them."""
    classes = target / "classes"
    path = os.pathsep.join(f"{library}/*" for library in libraries)
    _run(["javac", "-proc:none", "--release", "17", "-cp", path, "-d", str(classes), str(source)], lock)
    with zipfile.ZipFile(target / "converter.jar", "w") as jar:
        for file in sorted(classes.rglob("*.class")):
            jar.write(file, file.relative_to(classes))
        jar.writestr("META-INF/services/org.apache.kafka.connect.storage.Converter", f"{_CONVERTER}\n")
    shutil.rmtree(classes)


def _run(command: Sequence[str], lock: int) -> None:
    done = subprocess.run(  # noqa: S603 - fixed programs, arguments of our own
        command, capture_output=True, text=True, check=False, timeout=_LONGEST, pass_fds=[lock]
    )
    if done.returncode:
        raise ConfigError(f"{command[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")


def _properties(path: Path, settings: dict[str, object]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path
