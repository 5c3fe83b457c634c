"""Goes through the kept messages that are meant, a group at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

from sink.cli.quarantine_asked import Asked
from sink.db import quarantined
from sink.db.contents import reading
from sink.db.quarantined import Kept, Place
from sink.quarantine.retry import by_size

PAGE = 1_000
"""Most messages of one group."""


def pages(meant: Asked) -> Iterator[list[Kept]]:
    """Give groups of whole messages by partition and offset, each of at most a batch's bytes."""
    after: Place | None = None
    while True:
        with reading(meant.url) as session:
            page = quarantined.entries(session, meant.wanted, limit=PAGE, after=after)
        for group in by_size(page, meant.settings.batch.max_bytes):
            with reading(meant.url) as session:
                places = [entry.place for entry in group]
                kept = quarantined.kept(session, meant.source.sink_id, meant.source.topic, places)
            yield kept
        if len(page) < PAGE:
            return
        after = page[-1].place
