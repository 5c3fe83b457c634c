"""What ``sink offsets import`` takes over: from where, into which positions, and what forbids it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sink.adoption import Adopter, Step, plan, refuse_moves
from sink.cli import connections, offsets_file, wiring
from sink.cli.replayed import say
from sink.datasets import Dataset
from sink.db.connect import open_connection
from sink.errors import ConfigError, DefinitionError, TransientError
from sink.kafka.log import Identity
from sink.kafka.standing import Brokers, Member
from sink.ledger import Source
from sink.settings import Settings

_NAMED = 5
"""Members of a group that a refusal names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Offsets from elsewhere, by topic and partition; ``origin`` names them in sentences and in the ledger."""

    origin: str
    cluster_id: str
    """Of the cluster that we read, which is the one that they belong to."""
    offsets: Mapping[str, Mapping[int, int]]
    topic_ids: Mapping[str, str]
    """As far as the origin knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What becomes of one dataset."""

    dataset: str
    source: Source
    steps: Sequence[Step]
    identity: Identity
    adopter: Adopter

    @property
    def changes(self) -> bool:
        """Whether any position changes."""
        return any(step.kind != "none" for step in self.steps)


def from_group(group: str, sources: Sequence[Source], brokers: Brokers, *, force: bool) -> Given:
    """Read a consumer group's commits; refused while it has members, unless by force."""
    cluster_id = brokers.cluster_id()
    members = brokers.group(group).members
    if members and not force:
        raise TransientError(
            f"group {group} is still reading: {_named(members)}. Stop it first, or messages that it reads from now on"
            " come twice (for Kafka Connect: PUT /connectors/NAME/stop, which pausing is not enough for); --force takes"
            " over all the same"
        )
    if members:
        say(f"group {group} is still reading ({_named(members)}): what it commits from now on is not taken over")
    found = {source.topic: brokers.commits(group, source.topic) for source in sources}
    offsets = {topic: {number: one.offset for number, one in told.items()} for topic, told in found.items() if told}
    if not offsets:
        raise ConfigError(
            f"group {group} has no commits of {', '.join(found)}; its name may be another (Kafka Connect's is"
            " connect-NAME), or its commits expired. All groups: kafka-consumer-groups --list"
        )
    return Given(origin=f"group {group}", cluster_id=cluster_id, offsets=offsets, topic_ids={})


def from_file(file: Path, brokers: Brokers, sources: Sequence[Source]) -> Given:
    """Read an exported file; refuses one of another cluster."""
    exported, cluster_id = offsets_file.read(file), brokers.cluster_id()
    if exported.cluster_id != cluster_id:
        raise DefinitionError(
            f"{file} holds offsets of Kafka cluster {exported.cluster_id}, but this is cluster {cluster_id}: they mean"
            " other messages here"
        )
    wanted = {source.topic for source in sources}
    sinks = [one for one in exported.sinks if one.topic in wanted]
    if not sinks:
        topics = ", ".join(one.topic for one in exported.sinks) or "none"
        raise ConfigError(f"{file} has no offsets of {', '.join(sorted(wanted))}; its topics are: {topics}")
    return Given(
        origin=f"the export of {exported.exported_at:%Y-%m-%d %H:%M:%S%z}",
        cluster_id=cluster_id,
        offsets={one.topic: one.positions for one in sinks},
        topic_ids={one.topic: one.topic_id for one in sinks if one.topic_id},
    )


def planned(
    dataset: Dataset, settings: Settings, given: Given, brokers: Brokers, *, only: Collection[int], overwrite: bool
) -> Import:
    """Work out what becomes of a dataset's positions; nothing is written yet."""
    source = wiring.source_of(dataset, settings)
    topic = brokers.topic(source.topic)
    was = given.topic_ids.get(source.topic, topic.topic_id)
    if was != topic.topic_id:
        raise DefinitionError(
            f"topic {source.topic} was deleted and made anew (id {was} became {topic.topic_id}) since {given.origin}:"
            " its offsets mean other messages"
        )
    wanted = given.offsets[source.topic]
    stray = sorted(set(only) - set(wanted))
    if stray:
        raise ConfigError(
            f"--partitions: {given.origin} has no offset of {source.topic}, partition {', '.join(map(str, stray))}"
        )
    adopter = _adopter(dataset, source, settings)
    try:
        stored = {number: row.next_offset for number, row in adopter.positions().items()}
        chosen = {number: offset for number, offset in wanted.items() if not only or number in only}
        steps = plan(chosen, topic.logs, stored, topic=source.topic, origin=given.origin)
        if not overwrite:
            refuse_moves(steps, sink_id=source.sink_id)
    except BaseException:
        adopter.close()
        raise
    return Import(
        dataset=dataset.name,
        source=source,
        steps=steps,
        identity=Identity(cluster_id=given.cluster_id, topic_id=topic.topic_id),
        adopter=adopter,
    )


def adopt(imports: Sequence[Import], given: Given) -> None:
    """Write what was planned, one dataset after the other, each as a whole."""
    done: list[str] = []
    for one in imports:
        try:
            if one.changes:
                one.adopter.adopt(one.steps, one.identity, reason=f"offsets imported from {given.origin}")
        except TransientError as error:
            before = f"{', '.join(done)}: done. " if done else ""
            raise TransientError(
                f"{before}{one.dataset}: {error}. Its positions are set all together or not at all; run the command"
                " again, which does nothing twice"
            ) from error
        done.append(one.dataset)


def _adopter(dataset: Dataset, source: Source, settings: Settings) -> Adopter:
    url, owner = connections.database_url(settings), wiring.owner_name()
    return Adopter(
        dataset=dataset,
        source=source,
        owner=owner,
        connect=lambda: open_connection(url, application_name=f"sink offsets {owner}"),
        limits=wiring.limits_of(settings),
    )


def _named(members: Sequence[Member]) -> str:
    names = [f"{one.client_id} on {one.host}" for one in members[:_NAMED]]
    more = len(members) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
