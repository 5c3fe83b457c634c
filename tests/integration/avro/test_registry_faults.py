"""What the registry's client does when the registry is away, refuses, lies or does not know."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sink.avro.registry import NEGATIVE_TTL, Registry, RegistryAccess
from sink.errors import BadMessage, ConfigError, DefinitionError, SinkError, TransientError
from tests.integration.avro.fake_registry import FakeRegistry, running, schema_answer

SCHEMA = {"type": "string"}


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with running() as registry:
        yield registry


def client(*urls: str, clock: Clock | None = None, timeout: float = 5.0, **access: str) -> Registry:
    return Registry(
        RegistryAccess(urls=urls, timeout=timeout, **access), clock=clock or Clock(), sleep=lambda _seconds: None
    )


def test_a_known_id_is_asked_for_once(fake: FakeRegistry) -> None:
    fake.answers["/schemas/ids/7"] = schema_answer(SCHEMA)
    registry = client(fake.url)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(registry.schema_by_id, [7] * 32)) == [SCHEMA] * 32
    assert fake.asked == ["/schemas/ids/7"]


def test_requests_are_told_by_outcome_and_whether_a_server_answered(fake: FakeRegistry) -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
    registry = Registry(RegistryAccess(urls=(dead, fake.url)), sleep=lambda _seconds: None, heard=told.append)
    heard = [registry.answered]
    fake.answers["/schemas/ids/7"] = schema_answer(SCHEMA)
    registry.schema_by_id(7)
    registry.schema_by_id(7)
    assert (told, registry.cached) == (["failed", "answered"], 1)
    with pytest.raises(BadMessage):
        registry.schema_by_id(8)
    assert (told[2:], registry.cached) == (["refused"], 1)
    fake.answers["/schemas/ids/9"] = (503, "")
    heard.append(registry.answered)
    with pytest.raises(TransientError):
        registry.schema_by_id(9)
    assert set(told[3:]) == {"failed"}
    assert [*heard, registry.answered] == [None, True, False]


def test_fault_03_an_unknown_id_is_asked_for_again_only_after_a_while(fake: FakeRegistry) -> None:
    clock = Clock()
    registry = client(fake.url, clock=clock)
    for _ in range(100):
        with pytest.raises(BadMessage) as caught:
            registry.schema_by_id(7)
        assert caught.value.reason == "unknown_schema"
    assert len(fake.asked) == 1
    fake.answers["/schemas/ids/7"] = schema_answer(SCHEMA)
    clock.now += NEGATIVE_TTL
    assert registry.schema_by_id(7) == SCHEMA


@pytest.mark.parametrize(
    "more", [{"schemaType": "PROTOBUF"}, {"references": [{"name": "a", "subject": "a", "version": 1}]}]
)
def test_schemas_that_are_not_one_avro_schema_are_wrong_records(fake: FakeRegistry, more: dict[str, object]) -> None:
    fake.answers["/schemas/ids/7"] = schema_answer(SCHEMA, **more)
    with pytest.raises(BadMessage) as caught:
        client(fake.url).schema_by_id(7)
    assert caught.value.reason == "wrong_record"


def test_fault_09_a_schema_of_millions_of_bytes_or_levels_is_refused_without_being_read(fake: FakeRegistry) -> None:
    fake.answers |= {
        "/schemas/ids/7": schema_answer({"type": "record", "name": "A", "doc": "x" * 3 * 1024**2, "fields": []}),
        "/schemas/ids/8": (200, '{"schema": ' + "[" * 100_000),
        "/schemas/ids/9": (200, json.dumps({"schema": "[" * 100_000})),
    }
    for number, words in ((7, "more than 2097152 bytes"), (9, "no JSON")):
        with pytest.raises(BadMessage, match=words) as caught:
            client(fake.url).schema_by_id(number)
        assert caught.value.reason == "wrong_record"
    with pytest.raises(DefinitionError, match="not as a schema registry"):
        client(fake.url).schema_by_id(8)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_fault_04_a_busy_registry_is_transient_and_asked_a_bounded_number_of_times(
    fake: FakeRegistry, status: int
) -> None:
    fake.answers["/schemas/ids/7"] = (status, "busy")
    with pytest.raises(TransientError, match=str(status)):
        client(fake.url).schema_by_id(7)
    assert len(fake.asked) == 2


def test_fault_04_cached_ids_survive_an_outage_and_a_failure_is_not_remembered(fake: FakeRegistry) -> None:
    fake.answers |= {"/schemas/ids/7": schema_answer(SCHEMA), "/schemas/ids/8": (503, "")}
    registry = client(fake.url)
    registry.schema_by_id(7)
    with pytest.raises(TransientError):
        registry.schema_by_id(8)
    assert registry.schema_by_id(7) == SCHEMA
    fake.answers["/schemas/ids/8"] = schema_answer(SCHEMA)
    assert registry.schema_by_id(8) == SCHEMA


def test_fault_04_a_registry_that_never_answers_is_transient(fake: FakeRegistry) -> None:
    fake.silent = True
    with pytest.raises(TransientError, match="ReadTimeout"):
        client(fake.url, timeout=0.1).schema_by_id(7)


def test_a_second_address_takes_over_and_is_kept(fake: FakeRegistry) -> None:
    fake.answers |= {f"/schemas/ids/{number}": schema_answer(SCHEMA) for number in (7, 8)}
    with running() as other:
        other.answers |= {f"/schemas/ids/{number}": (503, "") for number in (7, 8)}
        registry = client(other.url, fake.url)
        assert [registry.schema_by_id(number) for number in (7, 8)] == [SCHEMA, SCHEMA]
        assert (len(other.asked), len(fake.asked)) == (1, 2)


def test_nobody_listening_is_transient() -> None:
    with running() as gone:
        url = gone.url
    with pytest.raises(TransientError, match="ConnectError"):
        client(url).schema_by_id(7)


@pytest.mark.parametrize(("password", "error"), [("secret", None), ("wrong", DefinitionError)])
def test_fault_05_a_password_is_sent_and_a_wrong_one_is_a_definition_error(
    fake: FakeRegistry, password: str, error: type[SinkError] | None
) -> None:
    fake.password = "secret"
    fake.answers["/schemas/ids/7"] = schema_answer(SCHEMA)
    registry = client(fake.url, user="sink", password=password)
    if error is None:
        assert registry.schema_by_id(7) == SCHEMA
    else:
        with pytest.raises(error, match="registry_auth") as caught:
            registry.schema_by_id(7)
        assert password not in str(caught.value)


@pytest.mark.parametrize("answer", [(404, "<html>nothing here</html>"), (302, ""), (200, "hello")])
def test_an_address_that_is_no_registry_does_not_send_messages_to_quarantine(
    fake: FakeRegistry, answer: tuple[int, str]
) -> None:
    fake.answers["/schemas/ids/7"] = answer
    with pytest.raises(DefinitionError, match="SINK_REGISTRY__URL"):
        client(fake.url).schema_by_id(7)


@pytest.mark.parametrize("url", ["localhost:8081", "ftp://localhost", "http://user:secret@localhost"])
def test_a_wrong_address_is_named_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        client(url)
    assert "secret" not in str(caught.value)


def test_tls_with_an_authority_and_a_certificate_of_our_own(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(cert)
    context.verify_mode = ssl.CERT_REQUIRED
    with running(context) as server:
        server.answers["/schemas/ids/7"] = schema_answer(SCHEMA)
        trusted = client(server.url, ca_location=str(cert), cert_location=str(cert), key_location=str(key))
        assert trusted.schema_by_id(7) == SCHEMA
        with pytest.raises(DefinitionError, match="SINK_REGISTRY__CA_LOCATION"):
            client(server.url).schema_by_id(7)
        with pytest.raises(TransientError):
            client(server.url, ca_location=str(cert)).schema_by_id(7)


def test_a_missing_authority_file_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="certificate"):
        client("https://localhost", ca_location="/nowhere.pem")


def certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key
