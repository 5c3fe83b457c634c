"""The native stack, driven as its users drive it, in a directory of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from sink.stack import Stack
from sink.stack.database import Database
from sink.stack.processes import PROC
from tests.patience import ANSWER

pytestmark = pytest.mark.needs_native
NATIVE = {**os.environ, "SINK_STACK_BACKEND": "native"}


def sink(*arguments: str, directory: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``sink stack`` as a process."""
    command = [sys.executable, "-m", "sink", "stack", *arguments, "--directory", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=NATIVE | environ, timeout=280)


def processes_of(directory: Path) -> list[str]:
    """Give the commands of all processes that name the directory or work in it."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_text().replace("\0", " ")
                where = str((entry / "cwd").readlink())
            except OSError:
                continue
            if str(directory) in command or where.startswith(str(directory)):
                found.append(command)
    return found


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a second stack beside the one that the other tests use."""
    stack = Stack(tmp_path_factory.mktemp("second") / "stack", environ=NATIVE)
    stack.up()
    yield stack
    stack.reset()
    assert processes_of(stack.directory) == []


def test_up_twice_starts_nothing_twice(second: Stack) -> None:
    pids = [server.pid for server in second.servers]
    done = sink("up", directory=second.directory)
    assert done.returncode == 0, done.stderr
    assert [server.pid for server in second.servers] == pids
    assert second.env_file.read_text() in done.stdout


def test_status_as_json_names_every_server(second: Stack) -> None:
    done = sink("status", "--json", directory=second.directory)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = {server["name"]: server for server in json.loads(done.stdout)}
    assert {name: server["state"] for name, server in shown.items()} == dict.fromkeys(shown, "running")
    assert [shown[server.name]["pid"] for server in second.servers] == [server.pid for server in second.servers]
    assert all(server["memory"] > 10_000_000 for server in shown.values())


def test_a_killed_server_is_noticed_and_restarted_with_its_data(second: Stack) -> None:
    url = second.settings()["DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    killed, broker = second.database.pid, second.broker.pid
    second.database.kill(signal.SIGKILL)
    done = sink("status", directory=second.directory)
    assert done.returncode == 3
    assert "stopped" in done.stdout
    done = sink("up", directory=second.directory)
    assert done.returncode == 0, done.stderr
    assert second.database.pid not in {None, killed}
    assert second.broker.pid == broker
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_an_immediate_stop_is_recovered_from(second: Stack) -> None:
    second.database.stop("immediate")
    assert second.database.pid is None
    second.database.start()
    assert second.database.status().state == "running"


def test_a_paused_server_is_running_but_not_answering(second: Stack) -> None:
    second.registry.kill(signal.SIGSTOP)
    try:
        assert second.registry.status().state == "not answering"
    finally:
        second.registry.kill(signal.SIGCONT)
    assert second.registry.status().state == "running"


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_the_broker_serves_transactions_to_groups_of_both_protocols(second: Stack, protocol: str) -> None:
    topic = f"transactions-{protocol}"
    servers: dict[str, str | int | float | bool] = {"bootstrap.servers": second.broker.address}
    admin = AdminClient(servers)
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(ANSWER)
    producer = Producer(servers | {"transactional.id": topic, "log_level": "2"})
    producer.init_transactions(ANSWER)
    for word, end in ((b"yes", producer.commit_transaction), (b"no", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topic, word)
        producer.flush(ANSWER)
        end(ANSWER)
    group = {"group.id": topic, "group.protocol": protocol, "auto.offset.reset": "earliest"}
    consumer = Consumer(servers | group)
    try:
        consumer.subscribe([topic])
        message = consumer.poll(ANSWER)
        assert message is not None
        assert message.value() == b"yes"
        assert consumer.poll(0.5) is None
        consumer.commit(asynchronous=False)
    finally:
        consumer.close()


def test_topics_are_not_made_by_a_typing_error(second: Stack) -> None:
    admin = AdminClient({"bootstrap.servers": second.broker.address})
    for _ in range(2):  # the broker would make it on the first question and have it by the second
        error = admin.list_topics("no-such-topic", timeout=ANSWER).topics["no-such-topic"].error
        assert error is not None
        assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_port_in_use_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        only = Stack(tmp_path / "stack", environ={**NATIVE, "SINK_STACK_DATABASE_PORT": port})
        done = sink(
            "up",
            directory=only.directory,
            SINK_STACK_DATABASE_PORT=port,
            SINK_STACK_KAFKA_PORT=port,
            SINK_STACK_REGISTRY_PORT=port,
        )
    assert done.returncode == 2, done.stdout + done.stderr
    for title in ("the Kafka broker", "the schema registry", "the database"):
        assert f"port {port} on 127.0.0.1, meant for {title}, is held by " in done.stderr
    assert done.stderr.count(f"(pid {os.getpid()})") == 3
    assert "Traceback" not in done.stderr
    assert processes_of(only.directory) == []


def test_a_server_that_dies_at_its_start_is_shown_with_its_last_words(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", environ=NATIVE)
    database = stack.database
    assert isinstance(database, Database)
    database.install()
    database.prepare()
    (database.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(
        Exception, match=r"the database died while it started(.|\n)*sink stack reset(.|\n)*no_such_setting"
    ):
        database.start()
    stack.reset()
    assert not database.data.exists()


def test_down_leaves_no_process_and_reset_no_data(second: Stack) -> None:
    assert isinstance(second.database, Database)
    data = second.database.data
    done = sink("down", directory=second.directory)
    assert done.returncode == 0, done.stderr
    assert processes_of(second.directory) == []
    assert not second.env_file.exists()
    assert data.is_dir()
    done = sink("reset", directory=second.directory)
    assert done.returncode == 0, done.stderr
    assert not data.exists()
    assert sorted(path.name for path in second.directory.iterdir()) == ["lock"]
