"""Commands refuse connections that are open to others, unless that is allowed by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sink.cli import connections
from sink.errors import ConfigError
from sink.settings import Settings, load


def registry(settings: Settings) -> object:
    with connections.registry(settings, url=None) as client:
        return client


CASES: dict[str, tuple[dict[str, str], Callable[[Settings], object]]] = {
    "DATABASE": ({"DATABASE_URL": "postgresql://u:hunter2@db.example/x"}, connections.database_url),
    "KAFKA": (
        {"SINK_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SINK_KAFKA__SASL_PASSWORD": "hunter2"},
        lambda settings: connections.kafka_options(settings, servers="kafka.example:9092"),
    ),
    "REGISTRY": (
        {
            "SINK_REGISTRY__URL": "http://registry.example",
            "SINK_REGISTRY__USER": "u",
            "SINK_REGISTRY__PASSWORD": "hunter2",
        },
        registry,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_open_connection_is_refused_unless_it_is_allowed_by_name(name: str, tmp_path: Path) -> None:
    variables, connect = CASES[name]
    with pytest.raises(ConfigError, match=f"SINK_ALLOW_INSECURE_{name}=true") as caught:
        connect(load(variables, directory=tmp_path))
    assert "hunter2" not in str(caught.value)
    assert connect(load(variables | {f"SINK_ALLOW_INSECURE_{name}": "true"}, directory=tmp_path)) is not None


def test_options_of_oauthbearer_pass_through_to_librdkafka(tmp_path: Path) -> None:
    variables = {
        "SINK_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "SINK_KAFKA__SASL_MECHANISM": "OAUTHBEARER",
        "SINK_KAFKA__SASL_OAUTHBEARER_METHOD": "oidc",
        "SINK_KAFKA__SASL_OAUTHBEARER_CLIENT_ID": "sink",
        "SINK_KAFKA__SASL_OAUTHBEARER_CLIENT_SECRET": "hunter2",
        "SINK_KAFKA__SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": "https://login.example/token",
        "SINK_KAFKA__SSL_CERTIFICATE_LOCATION": "client.pem",
    }
    options = connections.kafka_options(load(variables, directory=tmp_path), servers=None)
    assert options["sasl.oauthbearer.client.secret"] == "hunter2"
    assert options["sasl.oauthbearer.token.endpoint.url"] == "https://login.example/token"
    assert options["ssl.certificate.location"] == "client.pem"
