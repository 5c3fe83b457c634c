"""The file of positions is read as it was written; anything else is refused with what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sink.cli.offsets_file import Exported, ExportedSink, as_connect, as_csv, read
from sink.errors import BadFile

SINK = ExportedSink(
    dataset="trades", sink_id="sink.trades", topic="market.trades", topic_id="t", positions={1: 20, 0: 10}
)
WHOLE = Exported(exported_at=datetime(2026, 6, 2, 12, tzinfo=UTC), cluster_id="c", sinks=[SINK])


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "offsets.json"
    file.write_text(WHOLE.model_dump_json(indent=2))
    assert read(file) == WHOLE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Invalid JSON"),
        ("[]", "Input should be an object"),
        (WHOLE.model_dump_json().replace("offsets 1", "offsets 9"), "format: Input should be"),
        (WHOLE.model_dump_json().replace(":10", ":-1"), "positions.0: .* greater than or equal to 0"),
        (WHOLE.model_dump_json().replace('"0":10', '"x":10'), "positions.x.* valid integer"),
        (WHOLE.model_dump_json().replace('"cluster_id"', '"cluster"'), "cluster_id: Field required"),
    ],
)
def test_another_file_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "offsets.json"
    file.write_text(text)
    with pytest.raises(BadFile, match=rf"is no file of sink offsets export: .*{said}"):
        read(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read: No such file"):
        read(tmp_path / "nothing.json")


def test_others_get_their_own_forms() -> None:
    assert as_csv([SINK]) == "market.trades,0,10\nmarket.trades,1,20"
    assert json.loads(as_connect([SINK]))["offsets"][1] == {
        "partition": {"kafka_topic": "market.trades", "kafka_partition": 1},
        "offset": {"kafka_offset": 20},
    }
