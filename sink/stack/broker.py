"""Apache Kafka as a native process: one node in KRaft's combined mode."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from sink.errors import TransientError
from sink.stack import downloads
from sink.stack.ports import LOOPBACK
from sink.stack.record import MAIN
from sink.stack.server import Server

# One node: every replication factor is 1. Groups settle at once and notice a dead member within seconds, so that
# tests of rebalances are quick; so does the controller, which admits a killed broker again only when the session of
# its former life has ended. Topics are made by those who need them, never by a typing error.
_LONGEST_FORMAT = 300
"""Seconds for a command that takes two."""
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.dirs=log
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.session.timeout.ms=1000
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=500
"""

_LOGGING = """\
status = warn
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c{1})%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""

_JVM = ["java", "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.awt.headless=true"]
_CLUSTER_ID = "c2luay1kZXYtc3RhY2stMQ"

# Metadata request, version 4, for no topics: answered once the node has joined the cluster that it is.
_METADATA_REQUEST = struct.pack(">hhih", 3, 4, 1, -1) + struct.pack(">ib", 0, 0)


class Broker(Server):
    """The Kafka broker."""

    name = "broker"
    title = "the Kafka broker"
    version = f"Apache Kafka {downloads.KAFKA}"
    port_variable = "SINK_STACK_KAFKA_PORT"
    roles = (MAIN, "controller")
    tools = ("java",)
    install_tools = ("mvn",)

    def installed(self) -> bool:
        """Say whether the jars are in the cache."""
        return (self.cache.path / f"kafka-{downloads.KAFKA}").is_dir()

    def install(self) -> None:
        """Download the jars, unless they are there."""
        downloads.kafka(self.cache)

    def prepare(self) -> None:
        """Write the configuration and format the log folder, unless it is."""
        part = self.data.with_name(f"{self.name}.part")
        target = self.data if self.data.is_dir() else part
        shutil.rmtree(part, ignore_errors=True)
        target.mkdir(exist_ok=True)
        values = {"host": LOOPBACK, "port": self.port(MAIN), "controller": self.port("controller")}
        (target / "server.properties").write_text(_PROPERTIES.format(**values))
        (target / "log4j2.properties").write_text(_LOGGING)
        if target == part:
            arguments = ["format", "--config", "server.properties", "--cluster-id", _CLUSTER_ID]
            command = [*self._java("-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool", *arguments]
            try:
                done = subprocess.run(  # noqa: S603 - a fixed program, arguments of our own
                    command,
                    cwd=part,
                    env=self.environment(),
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=_LONGEST_FORMAT,
                )
            except subprocess.TimeoutExpired as error:
                raise TransientError(f"formatting the broker's log took over {_LONGEST_FORMAT} seconds") from error
            if done.returncode:
                raise TransientError(f"could not format the broker's log folder:\n{done.stdout}{done.stderr}")
            part.rename(self.data)

    def command(self) -> Sequence[str]:
        """Give the broker's command."""
        return [*self._java(), "kafka.Kafka", "server.properties"]

    def answers(self) -> bool:
        """Say whether the broker knows itself as a member of its cluster."""
        host, _, port = self.address.rpartition(":")
        with suppress(OSError, struct.error), socket.create_connection((host, int(port)), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(_METADATA_REQUEST)) + _METADATA_REQUEST)
            with connection.makefile("rb") as answer:
                # Size, correlation id, throttle time, then the number of brokers.
                brokers: int = struct.unpack(">iiii", answer.read(16))[3]
                return brokers > 0
        return False

    def _java(self, *options: str) -> list[str]:
        jars = self.cache.path / f"kafka-{downloads.KAFKA}" / "*"
        return [*_JVM, *options, "-Dlog4j2.configurationFile=log4j2.properties", "-cp", str(jars)]
