"""Compares the registry's latest schemas with ours: can the sink read what is written, may producers write ours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sink.avro.nodes import tree_of
from sink.avro.registry import Registry
from sink.avro.resolve import resolve
from sink.avro.schemas import Schema, columns_of
from sink.errors import BadMessage
from sink.inspection.findings import Finding, Group

_REGISTRY = Group("registry")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectFacts:
    """A subject as the registry has it; ``version`` is None where it has no schema."""

    subject: str
    version: int | None
    unreadable: str | None = None
    """Why the sink could not read messages of the latest schema."""
    registered: bool = False
    """Whether our schema is among its versions."""
    compatible: bool = True
    """Whether the registry would take our schema."""


def gather(client: Registry, schemas: Mapping[str, Schema]) -> list[SubjectFacts]:
    """Ask for each subject's latest schema; raises TransientError or DefinitionError where the registry refuses."""
    return [_subject(client, subject, schema) for subject, schema in schemas.items()]


def judge(facts: list[SubjectFacts]) -> Iterator[Finding]:
    """Give the findings."""
    for subject in facts:
        yield _judged(subject)


def _subject(client: Registry, subject: str, schema: Schema) -> SubjectFacts:
    latest = client.latest(subject)
    if latest is None:
        return SubjectFacts(subject=subject, version=None)
    registered = client.lookup(subject, schema.text) is not None
    return SubjectFacts(
        subject=subject,
        version=latest.version,
        unreadable=unreadable(latest.text, schema),
        registered=registered,
        compatible=registered or client.compatible(subject, schema.text),
    )


def unreadable(writer: str, reader: Schema) -> str | None:
    """Say why messages of a writer's schema could not become rows, None where they can."""
    try:
        resolve(tree_of(json.loads(writer)), reader.name, columns_of(reader))
    except (BadMessage, ValueError) as error:
        return str(error)
    return None


def _judged(subject: SubjectFacts) -> Finding:
    name = f"subject {subject.subject}"
    if subject.version is None:
        return _REGISTRY.warning(
            name, "nothing is registered yet", "sink schemas register, unless the producers do it themselves"
        )
    if subject.unreadable is not None:
        return _REGISTRY.failure(
            name,
            f"the sink cannot read messages of its latest schema (version {subject.version}): {subject.unreadable}",
            "have the producer register a schema that resolves to ours (docs/messages.md); until then its messages go"
            " to quarantine",
        )
    if not subject.compatible:
        return _REGISTRY.warning(
            name,
            f"version {subject.version} is readable, but the registry would refuse our schema as incompatible",
            "compare with: sink schemas check",
        )
    ours = "ours is among its versions" if subject.registered else "another one than ours"
    return _REGISTRY.ok(name, f"version {subject.version} is readable; {ours}")
