"""The file that ``sink offsets export`` writes and ``sink offsets import`` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sink.errors import BadFile

Offset = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExportedSink(_Strict):
    """The positions of one dataset's sink."""

    dataset: str
    sink_id: str
    topic: str
    topic_id: str | None
    positions: dict[Offset, Offset]
    """By partition, the next offset."""


class Exported(_Strict):
    """The whole file."""

    format: Literal["kafka-timescale-sink offsets 1"] = "kafka-timescale-sink offsets 1"
    exported_at: datetime
    cluster_id: str
    sinks: list[ExportedSink]


def read(file: Path) -> Exported:
    """Read a file; raises BadFile with what is wrong with it."""
    try:
        return Exported.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadFile(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadFile(
            f"{file} is no file of sink offsets export: {f'{where}: ' if where else ''}{first['msg']}"
        ) from error


def as_csv(sinks: Sequence[ExportedSink]) -> str:
    """Write positions as ``kafka-consumer-groups --reset-offsets --from-file`` reads them: topic,partition,offset."""
    return "\n".join(
        f"{sink.topic},{partition},{offset}" for sink in sinks for partition, offset in sorted(sink.positions.items())
    )


def as_connect(sinks: Sequence[ExportedSink]) -> str:
    """Write positions as Kafka Connect's ``PATCH /connectors/<name>/offsets`` takes them."""
    offsets = [
        {
            "partition": {"kafka_topic": sink.topic, "kafka_partition": partition},
            "offset": {"kafka_offset": offset},
        }
        for sink in sinks
        for partition, offset in sorted(sink.positions.items())
    ]
    return json.dumps({"offsets": offsets}, indent=2)
