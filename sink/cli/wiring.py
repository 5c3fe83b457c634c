"""Wires the parts of one dataset's loop as the settings say, for every command that runs one."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from sink.assignment import Assignment
from sink.avro.columns import ColumnarDecoder, decoder_of
from sink.avro.decode import Decoder, ReferenceDecoder
from sink.avro.registry import Registry
from sink.breadcrumb import Breadcrumb, default_directory
from sink.breaker import Breaker, BreakerLimits
from sink.careful import CarefulDecoder, SparingDecoder
from sink.cli import connections
from sink.collector import Collector
from sink.datasets import Dataset
from sink.flush import Flusher
from sink.kafka.clients import CLOSE_DEADLINE, without_group
from sink.kafka.consumer import TopicConsumer
from sink.kafka.log import Log
from sink.ledger import Source
from sink.observer import Observer
from sink.pipeline import Options, Pipeline
from sink.settings import Settings
from sink.tasks import ThreadWriter
from sink.transactions import Limits


def source_of(dataset: Dataset, settings: Settings) -> Source:
    """Name a dataset's sink and topic."""
    return Source(sink_id=f"{settings.group_prefix}.{dataset.name}", topic=f"{settings.topic_prefix}{dataset.name}")


def owner_name() -> str:
    """Name this process, as claims do."""
    return f"{socket.gethostname()}/{os.getpid()}"


def limits_of(settings: Settings) -> Limits:
    """Give what bounds a transaction."""
    budget = settings.flush_budget
    lock_timeout = min(settings.lock_timeout, budget / 2)  # waiting for a lock is no slow flush
    return Limits(
        deadline=budget,
        lock_timeout=lock_timeout,
        # a claim that gives up first would never end what keeps it waiting
        claim_patience=min(settings.claim_patience, lock_timeout * 2 / 3),
        idle_timeout=min(settings.idle_timeout, budget),
        statement_timeout=min(settings.statement_timeout, budget),
        future_tolerance=timedelta(seconds=settings.future_tolerance),
    )


def decoder_for(
    dataset: Dataset,
    settings: Settings,
    registry: Registry | None,
    *,
    kind: type[ColumnarDecoder | ReferenceDecoder] = ColumnarDecoder,
) -> Decoder:
    """Make a dataset's decoder, the fast one unless another is wanted."""
    return decoder_of(
        dataset, registry=registry, schemas=settings.schemas, max_value_bytes=settings.max_message_bytes, kind=kind
    )


def careful(decoder: Decoder, settings: Settings, topic: str, group: str) -> Decoder:
    """Have a decoder leave a breadcrumb, so that a message that kills the process does so only once."""
    directory = settings.state_directory or default_directory()
    crumb = Breadcrumb(directory, settings.kafka["bootstrap.servers"], topic, group)
    return CarefulDecoder(decoder, crumb, on_crash=settings.on_crash)


def careful_onlooker(
    decoder: Decoder, settings: Settings, source: Source, *, purpose: str, deadly: Collection[tuple[int, int]]
) -> Decoder:
    """Do the same for a command that only looks, which halts nothing; ``deadly`` are the places known already."""
    cautious = settings.model_copy(update={"on_crash": "quarantine"})
    return careful(SparingDecoder(decoder, deadly), cautious, source.topic, f"{source.sink_id}/{purpose}")


def options_of(settings: Settings) -> Options:
    """Give how the loop behaves."""
    return Options(
        max_rows=settings.batch.max_rows,
        max_bytes=settings.batch.max_bytes,
        max_age=settings.batch.max_age,
        initial_offset=settings.initial_offset,
        skip_lost=settings.on_data_loss == "skip",
        revoke_deadline=min(10.0, settings.flush_budget),
        patience=min(10.0, settings.flush_budget),
        session_timeout=float(settings.kafka.get("session.timeout.ms", "45000")) / 1000,
    )


def groupless_options(settings: Settings) -> dict[str, str]:
    """Give librdkafka's options for a consumer that joins no group."""
    return without_group(connections.kafka_options(settings, servers=None))


@contextmanager
def groupless(source: Source, settings: Settings, *, purpose: str) -> Iterator[TopicConsumer]:
    """Give a consumer of a sink's topic that joins no group, and close it.

    librdkafka wants a group named all the same; ``purpose`` makes it one of its own, which needs no grant.
    """
    consumer = TopicConsumer(
        options=groupless_options(settings), topic=source.topic, group=f"{source.sink_id}/{purpose}"
    )
    try:
        yield consumer
    finally:
        consumer.close(CLOSE_DEADLINE)


def outside_the_group(options: Options) -> Options:
    """Give the options of a loop that no group has a say in: it begins where its log does, and claims back soon."""
    return replace(options, initial_offset="earliest", session_timeout=2.0)


def pipeline_of(
    dataset: Dataset,
    settings: Settings,
    *,
    kafka: Log,
    topic: str,
    decoder: Decoder,
    flusher: Flusher,
    options: Options,
    observer: Observer | None = None,
) -> Pipeline:
    """Put the loop together."""
    assignment = Assignment()
    limits = BreakerLimits(share=settings.breaker.share, window=settings.breaker.window, run=settings.breaker.run)
    collector = Collector(
        topic=topic,
        order=settings.clock_of(dataset.name),
        decoder=decoder,
        breaker=Breaker(limits),
        assignment=assignment,
        clock=time.monotonic,
    )
    return Pipeline(
        dataset=dataset.name,
        kafka=kafka,
        assignment=assignment,
        collector=collector,
        flusher=flusher,
        writer=ThreadWriter(dataset.name),
        options=options,
        clock=time.monotonic,
        dice=random.Random(),  # noqa: S311 (spreads retries, guards nothing)
        observer=observer,
    )
