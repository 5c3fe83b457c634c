"""``sink metrics`` lists every metric, for people and for machines."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from sink.cli import app
from sink.http.reference import explained, page


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["metrics", *arguments], env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 0, done.output
    return done.output


def test_the_json_has_name_type_labels_and_meaning_of_each() -> None:
    listed = json.loads(said("--json"))
    assert [one["name"] for one in listed] == [one.name for one in explained()]
    (rows,) = [one for one in listed if one["name"] == "sink_rows_total"]
    assert rows.keys() == {"name", "type", "labels", "meaning"}
    assert (rows["type"], rows["labels"]) == ("counter", ["dataset", "outcome"])


def test_the_table_is_for_people_and_the_page_for_the_documentation() -> None:
    table = said()
    assert all(one.name in table for one in explained())
    assert said("--markdown") == page()
