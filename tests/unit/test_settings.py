"""Settings: where values come from, which win, and how a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sink.errors import ConfigError
from sink.settings import Batch, Settings, explain, load

URL = "postgresql+psycopg://writer:hunter2@db:5432/ingestion"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def problems(environ: dict[str, str], directory: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(environ, directory=directory, datasets=["trades", "funding"])
    return str(caught.value).split("\n  - ")[1:]


def test_defaults_are_those_of_the_table_reference(tmp_path: Path) -> None:
    settings = load({}, directory=tmp_path)
    assert settings.database_url.get_secret_value() == "postgresql+psycopg://postgres:postgres@localhost:5432/ingestion"
    assert settings.kafka == {"bootstrap.servers": "localhost:9092"}
    assert settings.registry.url is None
    assert (settings.topic_prefix, settings.group_prefix) == ("market.", "sink")
    assert settings.clock_of("trades") == "record"


def test_the_environment_beats_toml_and_toml_beats_the_stack(tmp_path: Path) -> None:
    write(tmp_path / ".stack/sink.env", "SINK_BATCH__MAX_ROWS=1\nSINK_BATCH__MAX_AGE=1\nSINK_BREAKER__RUN=1\n")
    write(tmp_path / "sink.toml", "[batch]\nmax_rows = 2\nmax_age = 2\n")
    settings = load({"SINK_BATCH__MAX_ROWS": "3"}, directory=tmp_path)
    assert (settings.batch.max_rows, settings.batch.max_age, settings.breaker.run) == (3, 2.0, 1)


def test_the_stack_file_tells_how_to_reach_the_servers(tmp_path: Path) -> None:
    write(
        tmp_path / ".stack/sink.env",
        f"# written by sink stack up\nDATABASE_URL={URL}\nSINK_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:19092\n"
        "SINK_REGISTRY__URL=http://127.0.0.1:18081/apis/ccompat/v7\nSINK_TEST_DATABASE_URL=x\n",
    )
    settings = load({}, directory=tmp_path)
    assert settings.database_url.get_secret_value() == URL
    assert settings.kafka["bootstrap.servers"] == "127.0.0.1:19092"
    assert settings.registry.url == "http://127.0.0.1:18081/apis/ccompat/v7"


def test_sink_config_names_the_toml_file(tmp_path: Path) -> None:
    write(tmp_path / "sink.toml", "group_prefix = 'unused'\n")
    write(tmp_path / "other.toml", "group_prefix = 'other'\n")
    assert load({"SINK_CONFIG": "other.toml"}, directory=tmp_path).group_prefix == "other"
    assert load({}, directory=tmp_path, config=tmp_path / "other.toml").group_prefix == "other"


def test_a_named_toml_file_must_exist_and_parse(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in problems({"SINK_CONFIG": "gone.toml"}, tmp_path)[0]
    write(tmp_path / "sink.toml", "batch = [\n")
    assert "sink.toml is not TOML" in problems({}, tmp_path)[0]


def test_kafka_options_pass_through_from_variables_and_toml(tmp_path: Path) -> None:
    write(
        tmp_path / "sink.toml",
        '[kafka]\n"fetch.min.bytes" = 10\nsocket_keepalive_enable = true\nclient.id = "c"\n'
        'ssl_curves_list = ["X25519", "P-256"]\n',
    )
    settings = load(
        {"SINK_KAFKA__GROUP_PROTOCOL": "consumer", "SINK_KAFKA__BOOTSTRAP_SERVERS": "k:1"}, directory=tmp_path
    )
    assert settings.kafka == {
        "bootstrap.servers": "k:1",
        "client.id": "c",
        "fetch.min.bytes": "10",
        "group.protocol": "consumer",
        "socket.keepalive.enable": "true",
        "ssl.curves.list": "X25519,P-256",
    }


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("SINK_KAFKA__GROUP_ID", "g", "SINK_GROUP_PREFIX"),
        ("SINK_KAFKA__ENABLE_AUTO_COMMIT", "true", "commits offsets itself"),
        ("SINK_KAFKA__ENABLE_AUTO_OFFSET_STORE", "true", "commits offsets itself"),
        ("SINK_KAFKA__AUTO_OFFSET_RESET", "latest", "SINK_INITIAL_OFFSET"),
        ("SINK_KAFKA__ISOLATION_LEVEL", "read_uncommitted", "must be read_committed"),
        ("SINK_KAFKA__PARTITION_ASSIGNMENT_STRATEGY", "range", "must be cooperative-sticky"),
    ],
)
def test_kafka_options_that_the_sink_owns_are_refused_with_the_reason(
    variable: str, value: str, reason: str, tmp_path: Path
) -> None:
    (problem,) = problems({variable: value}, tmp_path)
    assert problem.startswith(f"{variable} (environment) ")
    assert reason in problem


def test_what_the_broker_decides_cannot_be_set_with_the_consumer_protocol(tmp_path: Path) -> None:
    (problem,) = problems(
        {"SINK_KAFKA__GROUP_PROTOCOL": "consumer", "SINK_KAFKA__SESSION_TIMEOUT_MS": "6000"}, tmp_path
    )
    assert "SINK_KAFKA__SESSION_TIMEOUT_MS (environment) cannot be set with group.protocol=consumer" in problem


def test_isolation_level_may_say_what_is_so_anyway(tmp_path: Path) -> None:
    assert load({"SINK_KAFKA__ISOLATION_LEVEL": "read_committed"}, directory=tmp_path).kafka["isolation.level"]


@pytest.mark.parametrize(
    ("given_name", "suggested"),
    [
        ("SINK_BATCH_MAX_ROWS", "SINK_BATCH__MAX_ROWS"),
        ("SINK_BATCH__MAXROWS", "SINK_BATCH__MAX_ROWS"),
        ("SINK_DATABASE_URL", "DATABASE_URL"),
        ("SINK_GROUPPREFIX", "SINK_GROUP_PREFIX"),
        ("SINK_KAFKA_BOOTSTRAP_SERVERS", "SINK_KAFKA__BOOTSTRAP_SERVERS"),
        ("SINK_REGISTRY__PASWORD_FILE", "SINK_REGISTRY__PASSWORD_FILE"),
    ],
)
def test_an_unknown_variable_is_an_error_that_suggests_the_right_one(
    given_name: str, suggested: str, tmp_path: Path
) -> None:
    (problem,) = problems({given_name: "1"}, tmp_path)
    assert problem == f"{given_name} (environment) is not a setting; did you mean {suggested}?"


def test_an_unknown_key_of_the_file_is_an_error_that_suggests_the_right_one(tmp_path: Path) -> None:
    write(tmp_path / "sink.toml", "[batch]\nmax_row = 3\n[zebra]\nstripes = 9\n")
    assert problems({}, tmp_path) == [
        "batch.max_row (sink.toml) is not a setting; did you mean batch.max_rows?",
        "zebra.stripes (sink.toml) is not a setting; `sink config` lists them all",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "SINK_TEST_DATABASE_URL",
        "SINK_STACK_PORT",
        "SINK_SERVICE_HOST",
        "SINK_PORT",
        "SINK_PORT_8080_TCP_ADDR",
        "SINK_METRICS_SERVICE_PORT_HTTP",
        "SINK_METRICS_PORT_9090_TCP",
        "SINKHOLE",
        "DATABASE_URLS",
    ],
)
def test_names_of_others_are_ignored(name: str, tmp_path: Path) -> None:
    assert load({name: "x"}, directory=tmp_path) == load({}, directory=tmp_path)


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert load({"SINK_REGISTRY__URL": "", "DATABASE_URL": ""}, directory=tmp_path) == load({}, directory=tmp_path)


def test_every_secret_can_stand_in_a_file(tmp_path: Path) -> None:
    write(tmp_path / "url", URL + "\n")
    write(tmp_path / "registry", "reg-secret\r\n")
    write(tmp_path / "sasl", "sasl-secret")
    write(tmp_path / "sink.toml", '[registry]\nuser = "u"\npassword_file = "registry"\n')
    settings = load(
        {"DATABASE_URL_FILE": str(tmp_path / "url"), "SINK_KAFKA__SASL_PASSWORD_FILE": "sasl"}, directory=tmp_path
    )
    assert settings.database_url.get_secret_value() == URL
    assert settings.registry.password is not None
    assert settings.registry.password.get_secret_value() == "reg-secret"
    assert settings.kafka["sasl.password"] == "sasl-secret"


def test_a_secret_file_must_be_readable_and_not_empty(tmp_path: Path) -> None:
    write(tmp_path / "empty", "\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    environ = {"DATABASE_URL_FILE": "gone", "SINK_REGISTRY__PASSWORD_FILE": "empty", "SINK_REGISTRY__USER": "u"}
    found = problems(environ | {"SINK_KAFKA__SASL_PASSWORD_FILE": "binary"}, tmp_path)
    assert "DATABASE_URL_FILE (environment) names the file gone, which cannot be read: No such file" in found[0]
    assert "which cannot be read: it is not UTF-8 text" in found[1]
    assert "names the file empty, which is empty" in found[2]


def test_a_secret_and_its_file_in_one_place_contradict_each_other(tmp_path: Path) -> None:
    write(tmp_path / "url", URL)
    assert problems({"DATABASE_URL": URL, "DATABASE_URL_FILE": "url"}, tmp_path) == [
        "DATABASE_URL and DATABASE_URL_FILE (environment) say the same setting; keep one of them"
    ]


def test_a_librdkafka_option_that_ends_in_file_passes_through(tmp_path: Path) -> None:
    settings = load({"SINK_KAFKA__SASL_OAUTHBEARER_ASSERTION_FILE": "/jwt"}, directory=tmp_path)
    assert settings.kafka["sasl.oauthbearer.assertion.file"] == "/jwt"


def test_all_problems_are_told_at_once_by_the_name_the_user_wrote(tmp_path: Path) -> None:
    write(tmp_path / "sink.toml", "[breaker]\nshare = 2\n")
    found = problems(
        {
            "SINK_BATCH__MAX_ROWS": "many",
            "SINK_BATCH__MAX_AGE": "nan",
            "SINK_INITIAL_OFFSET": "newest",
            "SINK_REGISTRY__CA_LOCATION": "/no/such/file",
            "SINK_REGISTRY__USER": "u",
            "SINK_TOPIC_PREFIX": "market/",
        },
        tmp_path,
    )
    assert sorted(found) == sorted(
        [
            "SINK_BATCH__MAX_ROWS (environment) must be a whole number, but it is 'many'",
            "SINK_BATCH__MAX_AGE (environment) must be a finite number, but it is 'nan'",
            "SINK_INITIAL_OFFSET (environment) must be 'earliest', 'latest' or 'committed', but it is 'newest'",
            "SINK_REGISTRY__CA_LOCATION (environment) must be a file that exists, but it is '/no/such/file'",
            "SINK_TOPIC_PREFIX (environment) may hold at most 100 letters, digits and . _ -, but it is 'market/'",
            "breaker.share (sink.toml) must be at most 1, but it is '2'",
        ]
    )


def test_the_registry_user_needs_a_password_and_a_key_its_certificate(tmp_path: Path) -> None:
    assert "are given together" in problems({"SINK_REGISTRY__USER": "u"}, tmp_path)[0]
    key = str(write(tmp_path / "key.pem", "key"))
    assert "needs SINK_REGISTRY__CERT_LOCATION" in problems({"SINK_REGISTRY__KEY_LOCATION": key}, tmp_path)[0]


def test_a_claim_acts_before_it_gives_up(tmp_path: Path) -> None:
    (problem,) = problems({"SINK_CLAIM_PATIENCE": "15"}, tmp_path)
    assert "SINK_CLAIM_PATIENCE (15 s) must be below SINK_LOCK_TIMEOUT (15 s)" in problem


@pytest.mark.parametrize("url", ["ftp://registry", "http://", "registry:8081"])
def test_a_registry_url_names_a_web_address(url: str, tmp_path: Path) -> None:
    assert "must begin with http:// or https://" in problems({"SINK_REGISTRY__URL": url}, tmp_path)[0]


def test_a_per_dataset_setting_must_name_a_dataset(tmp_path: Path) -> None:
    assert problems({"SINK_CLOCK__TRADE": "field"}, tmp_path) == [
        "SINK_CLOCK__TRADE (environment) is for no dataset; there are trades, funding"
    ]
    assert load({"SINK_CLOCK__TRADES": "field"}, directory=tmp_path, datasets=["trades"]).clock_of("trades") == "field"


@given(secret=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=6).map(lambda text: f"s3cr-{text}"))
def test_no_error_ever_shows_a_secret(secret: str) -> None:
    environ = {
        "DATABASE_URL": f"postgres://user:{secret}@host/db",
        "SINK_REGISTRY__PASSWORD": secret,
        "SINK_REGISTRY__URL": f"https://user:{secret}@registry",
        "SINK_KAFKA__SASL_PASSWORD": secret,
        "SINK_KAFKA__GROUP_ID": "x",
    }
    with pytest.raises(ConfigError) as caught:
        load(environ, directory=Path("/nonexistent"))
    assert secret not in str(caught.value)


def test_what_is_in_force_is_shown_with_its_source_and_without_secrets(tmp_path: Path) -> None:
    write(tmp_path / "sasl", "hunter2")
    write(tmp_path / ".stack/sink.env", "SINK_BREAKER__RUN=7\n")
    write(tmp_path / "sink.toml", "clock.trades = 'field'\n[registry]\nuser = 'u'\npassword = 'hunter2'\n")
    rows = {
        row.variable: row
        for row in explain({"DATABASE_URL": URL, "SINK_KAFKA__SASL_PASSWORD_FILE": "sasl"}, directory=tmp_path)
    }
    assert (rows["DATABASE_URL"].value, rows["DATABASE_URL"].source) == (
        "postgresql+psycopg://writer:***@db:5432/ingestion",
        "environment",
    )
    sasl = rows["SINK_KAFKA__SASL_PASSWORD"]
    assert (sasl.value, sasl.source) == ("***", "environment: SINK_KAFKA__SASL_PASSWORD_FILE, file sasl")
    assert (rows["SINK_REGISTRY__PASSWORD"].value, rows["SINK_REGISTRY__PASSWORD"].source) == (
        "***",
        "sink.toml: registry.password",
    )
    assert rows["SINK_CLOCK__TRADES"].source == "sink.toml: clock.trades"
    assert rows["SINK_BREAKER__RUN"].source == ".stack/sink.env"
    assert rows["SINK_BATCH__MAX_ROWS"].source == "default"
    assert "hunter2" not in repr(rows)


@given(secret=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=6).map(lambda text: f"s3cr-{text}"))
def test_what_is_shown_never_holds_a_secret(secret: str) -> None:
    environ = {
        "DATABASE_URL": f"postgresql+psycopg://user:{secret}@host/db",
        "SINK_REGISTRY__USER": "user",
        "SINK_REGISTRY__PASSWORD": secret,
        "SINK_KAFKA__SASL_PASSWORD": secret,
        "SINK_KAFKA__SSL_KEY_PEM": secret,
    }
    assert secret not in "".join(str(row.value) for row in explain(environ, directory=Path("/nonexistent")))


def test_a_flush_must_fit_into_the_poll_interval(tmp_path: Path) -> None:
    short = {"SINK_KAFKA__MAX_POLL_INTERVAL_MS": "30000"}
    settings = load(short, directory=tmp_path)
    assert settings.flush_budget == 10
    assert load({}, directory=tmp_path).flush_budget == 100

    told = problems(
        short | {"SINK_STATEMENT_TIMEOUT": "11", "SINK_LOCK_TIMEOUT": "10", "SINK_CLAIM_PATIENCE": "9"}, tmp_path
    )
    (sentence,) = told
    assert sentence.startswith("SINK_STATEMENT_TIMEOUT must be at most 10 seconds, a third of SINK_KAFKA__MAX_POLL")


def test_settings_are_frozen_values(tmp_path: Path) -> None:
    settings = load({}, directory=tmp_path)
    with pytest.raises(ValidationError):
        settings.group_prefix = "other"
    with pytest.raises(ValidationError):
        settings.batch.max_rows = 1
    assert URL not in repr(load({"DATABASE_URL": URL}, directory=tmp_path))


def test_settings_without_arguments_say_what_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINK_GROUP_PREFIX", "mine")
    settings = Settings(batch=Batch(max_rows=3))
    assert (settings.group_prefix, settings.batch.max_rows) == ("mine", 3)
    monkeypatch.setenv("SINK_GROUPPREFIX", "mine")
    with pytest.raises(ConfigError, match="did you mean SINK_GROUP_PREFIX"):
        Settings()


@given(st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789"), min_size=1).map("".join), st.text(min_size=1))
def test_any_other_librdkafka_option_survives_the_way_through_a_variable(part: str, value: str) -> None:
    settings = load({f"SINK_KAFKA__X_{part.upper()}_Y": value}, directory=Path("/nonexistent"))
    assert settings.kafka[f"x.{part}.y"] == value
