"""Quix Streams: a topic through its PostgreSQL sink, each row an upsert on the primary key."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastavro import parse_schema, schemaless_reader
from quixstreams import Application  # type: ignore[import-not-found] # in an environment of its own
from quixstreams.models import Deserializer  # type: ignore[import-not-found]
from quixstreams.sinks.community.postgresql import PostgreSQLSink  # type: ignore[import-not-found]

HEADER = 5


class Avro(Deserializer):  # type: ignore[misc] # its base is not known here
    """Reads Avro behind the registry's header, with the one schema that there is."""

    def __init__(self, schema: Any, columns: list[str]) -> None:
        super().__init__()
        self._schema = parse_schema(schema)
        self._columns = columns

    def __call__(self, value: bytes, ctx: Any) -> dict[str, Any]:
        """Give the contract columns of one message."""
        del ctx
        record: Any = schemaless_reader(io.BytesIO(value[HEADER:]), self._schema, None)
        return {name: record[name] for name in self._columns}


def main() -> None:
    """Run until SIGTERM."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    url = urlsplit(settings["database_url"])
    application = Application(
        broker_address=settings["bootstrap_servers"],
        consumer_group=settings["group"],
        auto_offset_reset="earliest",
        auto_create_topics=False,
        commit_every=settings["batch"],
        # a backlog that is no multiple of commit_every waits this long for its last rows
        commit_interval=1.0 if settings["follow"] else 5.0,
        use_changelog_topics=False,
        loglevel="WARNING",
    )
    topic = application.topic(
        settings["topic"],
        key_deserializer="bytes",
        value_deserializer=Avro(settings["schema"], settings["columns"]),
    )
    sink = PostgreSQLSink(
        host=url.hostname,
        port=url.port,
        dbname=url.path.lstrip("/"),
        user=url.username,
        password=url.password,
        table_name=settings["table"],
        schema_auto_update=False,
        primary_key_columns=settings["key"],
        upsert_on_primary_key=True,
    )
    application.dataframe(topic).sink(sink)
    application.run()


if __name__ == "__main__":
    main()
