"""Writes docs/configuration.md from the settings, so that the page cannot fall behind the code."""

from __future__ import annotations

from collections.abc import Iterable

from sink.settings.catalogue import KAFKA, Entry, toml_key, variable
from sink.settings.kafka import DEFAULTS, ONLY, OWNED
from sink.settings.sources import STACK_ENV_FILE

_HEAD = f"""# Configuration

<!-- Written by `sink config --markdown`; a test holds it equal to the code. -->

Every setting is an environment variable, or a key of a TOML file: `SINK_CONFIG` names the file, otherwise `sink.toml`
in the working directory is read if it is there. `sink config` prints what is in force, redacted, with the source of
each value, and checks it: all problems are told at once, and an unknown name is an error that suggests the right one.

From strongest to weakest: the environment (an empty variable counts as not set), the TOML file, `{STACK_ENV_FILE}` as
`sink stack up` leaves it in the working directory, the defaults.

- **Secrets** can stand in files: with `_FILE` behind its name, a secret is read from the file that the variable names,
  for example `DATABASE_URL_FILE=/run/secrets/database_url` or `SINK_KAFKA__SASL_PASSWORD_FILE=...`; in TOML
  `registry.password_file = "..."`. A line end at the end of the file does not count.
- **Names** that begin with `SINK_TEST_`, `SINK_STACK_`, `SINK_SERVICE_` or `SINK_PORT`, and those that Kubernetes makes
  for services whose name begins with `sink-`, are not settings and are ignored.
- Paths are relative to the working directory, durations are seconds, sizes are bytes.

```toml
# sink.toml
database_url = "postgresql+psycopg://sink_writer@db.internal:5432/ingestion"

[kafka]
bootstrap_servers = "kafka-1:9092,kafka-2:9092"
security_protocol = "SASL_SSL"
sasl_password_file = "/run/secrets/kafka_password"

[batch]
max_rows = 20000

[clock]
oi_snapshots = "field"
```

## Settings

| variable | TOML key | values | default | meaning |
|---|---|---|---|---|
"""

_KAFKA = """
## librdkafka

Options go to the consumer, the producer and the admin client alike: `SINK_KAFKA__<OPTION>` with underscores for dots.
`group.protocol=consumer` chooses the newer rebalance protocol (brokers from 4.0). Not left to a setting:

| option | reason |
|---|---|
"""


def markdown(entries: Iterable[Entry]) -> str:
    """Render the whole page."""
    rows = "".join(_row(entry) for entry in entries)
    reasons = OWNED | {name: f"always `{value}`: {why}" for name, (value, why) in ONLY.items()}
    owned = "".join(f"| `{name}` | {reason} |\n" for name, reason in sorted(reasons.items()))
    return _HEAD + rows + _KAFKA + owned


def _row(entry: Entry) -> str:
    name, key = variable(entry.path), toml_key(entry.path)
    if entry.is_table:
        placeholder = "OPTION" if entry.path == KAFKA else "DATASET"
        name, key = f"{name}__<{placeholder}>", f"{key}.<{placeholder.lower()}>"
    files = f", `{name}_FILE`" if entry.is_secret else ""
    return f"| `{name}`{files} | `{key}` | {entry.type} | {_default(entry)} | {entry.description} |\n"


def _default(entry: Entry) -> str:
    if entry.path == KAFKA:
        return ", ".join(f"`{name}={value}`" for name, value in DEFAULTS.items())
    if entry.default is None or entry.default == {}:
        return ""
    return f"`{str(entry.default).lower() if isinstance(entry.default, bool) else entry.default}`"
