"""Writes what the Helm chart takes from the code: the schema of its settings, and the table of its README.

    python deploy/helm/build.py

A test holds the committed files equal to this.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from sink.datasets import DATASETS
from sink.settings import Settings
from sink.settings.catalogue import KAFKA, entries, variable
from sink.settings.kafka import ONLY, OWNED, SECRET_OPTIONS

CHART = Path(__file__).parent / "kafka-timescale-sink"
BY_THE_CHART = {
    "SINK_HTTP__ENABLED": "always true here: the probes ask that port",
    "SINK_HTTP__HOST": "set by the chart",
    "SINK_HTTP__PORT": "set by the chart: 8080",
    "SINK_STATE_DIRECTORY": "set by the chart: a volume of the pod",
    "SINK_KAFKA__GROUP_INSTANCE_ID": "set by the chart where staticMembership.enabled is true",
}
PUBLIC = frozenset({"sasl.username"})
"""Secrets to the sink, which masks them; a chart may hold them in the open."""
_KEPT = ("type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "minLength")

Schema = dict[str, Any]


def settings_schema() -> Schema:
    """Give the schema of a map of settings: each by its variable, with the limits that the sink itself checks."""
    model = Settings.model_json_schema()
    properties: Schema = {}
    for entry in entries(Settings):
        name = variable(entry.path)
        if name in BY_THE_CHART or entry.is_table:
            continue
        if entry.is_secret:
            properties[name] = _refused("a secret: it belongs under secrets")
        else:
            properties[name] = {**_limits(model, entry.path), "description": entry.description}
    for option in sorted(SECRET_OPTIONS - PUBLIC):
        properties[_option(option)] = _refused("a secret: it belongs under secrets")
    for option, reason in sorted({**OWNED, **{name: why for name, (_, why) in ONLY.items()}}.items()):
        properties[_option(option)] = _refused(f"not a setting: {reason}")
    for name, reason in BY_THE_CHART.items():
        properties[name] = _refused(reason)
    datasets = "|".join(name.upper() for name in DATASETS)
    clocks = model["properties"]["clock"]["additionalProperties"]["enum"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "patternProperties": {
            "^SINK_KAFKA__[A-Z0-9_]+$": {"type": ["string", "integer", "boolean"]},
            f"^SINK_CLOCK__({datasets})$": {"enum": clocks},
        },
    }


def secret_names() -> list[str]:
    """Give the settings that are secrets, by their variables."""
    plain = [variable(entry.path) for entry in entries(Settings) if entry.is_secret]
    return [*plain, *(_option(option) for option in sorted(SECRET_OPTIONS))]


def _option(name: str) -> str:
    return variable((*KAFKA, name))


def _refused(reason: str) -> Schema:
    # A validator repeats the only value that it would take, and so the reason is read.
    return {"const": f"({reason})"}


def _limits(model: Mapping[str, Any], path: tuple[str, ...]) -> Schema:
    node: Mapping[str, Any] = model
    for part in path:
        node = _resolved(model, node)["properties"][part]
    node = _resolved(model, node)
    return {name: node[name] for name in _KEPT if name in node}


def _resolved(model: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference, and what may be absent to what it is otherwise."""
    if "$ref" in node:
        return _resolved(model, model["$defs"][node["$ref"].rpartition("/")[2]])
    for choice in node.get("anyOf", ()):
        if choice.get("type") != "null":
            return _resolved(model, choice)
    return node


def schema() -> Schema:
    """Give the whole values.schema.json: the committed one with its parts that come from the code made anew."""
    whole: Schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    names = [*secret_names(), "MIGRATOR_DATABASE_URL"]
    whole["$defs"] |= {"settings": settings_schema(), "secretName": {"enum": names}}
    whole["properties"]["datasets"]["properties"] = {name: {"$ref": "#/$defs/dataset"} for name in DATASETS}
    return whole


def described(node: Mapping[str, Any], values: Any, path: str = "") -> Iterator[tuple[str, Any, str]]:
    """Give every value that the schema describes: its path, default, and description."""
    for name, inner in node.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        default = values.get(name) if isinstance(values, dict) else None
        if "properties" in inner and path.count(".") < 1 and name != "datasets":
            yield from described(inner, default, where)
        else:
            yield where, default, inner["description"]


def table() -> str:
    """Give the README's table of values."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, default, description in described(schema(), values):
        shown = "" if default in ("", None) else f"`{json.dumps(default)}`"
        lines.append(f"| `{path}` | {shown} | {description} |")
    return "\n".join(lines)


def readme() -> str:
    """Give the whole README.md: the committed one with its table made anew."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- values -->\n")
    _, _, after = rest.partition("<!-- end of values -->")
    return f"{before}<!-- values -->\n{table()}\n<!-- end of values -->{after}"


def main() -> None:
    """Write both files."""
    (CHART / "values.schema.json").write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
    (CHART / "README.md").write_text(readme(), encoding="utf-8")


if __name__ == "__main__":
    main()
