"""Redaction: secrets leave neither by name, nor in a URL, nor in an assignment."""

from __future__ import annotations

import pytest

from sink.redaction import is_secret, redact, redact_text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "SINK_REGISTRY__PASSWORD",
        "sasl.password",
        "sasl.username",
        "sasl.jaas.config",
        "ssl.key.pem",
        "ssl.key.password",
        "ssl.keystore.password",
        "sasl.oauthbearer.client.secret",
        "basic.auth.user.info",
        "claim_token",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["bootstrap.servers", "sasl.mechanism", "sasl.mechanisms", "ssl.key.location", "topic", "schema_ids"]
)
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql+psycopg://u:p@h:5432/db", "postgresql+psycopg://u:***@h:5432/db"),
        ("cannot reach http://u:p/w@rd@h:1/x today", "cannot reach http://u:***@h:1/x today"),
        (
            "postgresql://h/db?user=u&password=p&sslmode=require",
            "postgresql://h/db?user=u&password=***&sslmode=require",
        ),
        ("host=h password='a b' dbname=d", "host=h password=*** dbname=d"),
        ("sasl.password=p", "sasl.password=***"),
        ("http://h:8081/apis", "http://h:8081/apis"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_passwords_within_a_text(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted


def test_nested_values_and_exceptions() -> None:
    value = {
        "kafka": {"sasl.password": "p", "client.id": "c"},
        "urls": ["http://u:p@h"],
        "error": ValueError("a://u:p@h"),
    }
    assert redact("settings", value) == {
        "kafka": {"sasl.password": "***", "client.id": "c"},
        "urls": ["http://u:***@h"],
        "error": "a://u:***@h",
    }
    assert redact("rows", 3) == 3
    assert redact("password", None) is None
