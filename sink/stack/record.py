"""What is remembered of one server between commands: its ports and its process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sink.stack import ports
from sink.stack.processes import Process

MAIN = "main"
"""The role of the port that clients use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The ports by role, as chosen once; the process that was started last and the port that it was given."""

    ports: dict[str, int] = field(default_factory=dict)
    process: Process | None = None
    started_on: int | None = None

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read the record at ``path``, empty where there is none."""
        if not path.is_file():
            return cls()
        kept: dict[str, Any] = json.loads(path.read_text())
        process = Process(**kept["process"]) if kept["process"] else None
        return cls(ports=kept["ports"], process=process, started_on=kept["started_on"])

    def write(self, path: Path) -> None:
        """Write the record to ``path``, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_text(json.dumps(asdict(self), indent=2) + "\n")
        part.replace(path)

    def running(self) -> Process | None:
        """Give the process where it still is the one that was started."""
        return self.process if self.process is not None and self.process.alive() else None


def port(path: Path, role: str, *, variable: str, environ: Mapping[str, str]) -> int:
    """Give the port of a server's role: the main one as its variable fixes it, else a free one, chosen once."""
    if role == MAIN and (given := environ.get(variable)):
        return ports.fixed(given, variable=variable)
    record = Record.read(path)
    if role not in record.ports:
        taken = {known for other in path.parent.glob("*.json") for known in Record.read(other).ports.values()}
        chosen = ports.choose(path.parent, f"{path.stem}/{role}", taken=taken)
        record = replace(record, ports={**record.ports, role: chosen})
        record.write(path)
    return record.ports[role]
