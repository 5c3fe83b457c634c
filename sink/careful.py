"""A decoder around the decoder that outlives the messages which end the process, and names them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

import polars as pl
import structlog

from sink.avro.decode import Decoder
from sink.batch import MESSAGE, BadRow, Decoded, Messages
from sink.breadcrumb import Breadcrumb, Stretch
from sink.errors import DefinitionError

log = structlog.get_logger(__name__)

CRASHES = 3
"""Deaths at one message after which it is not decoded again."""

OnCrash = Literal["halt", "quarantine"]

_EXHAUSTED = (MemoryError, RecursionError)


class DeadlyMessageError(DefinitionError):
    """A message has ended the process several times; what lies before it can be decoded."""

    def __init__(self, message: str, *, partition: int, offset: int) -> None:
        super().__init__(message)
        self.partition = partition
        self.offset = offset


class CarefulDecoder:
    """Decodes as the decoder within does, with a breadcrumb that says which offsets are decoded at this moment.

    Where the process died, the messages of that stretch are decoded one by one, so that the next death names its
    offset. After :data:`CRASHES` deaths ``decode`` raises DeadlyMessageError in place of decoding it, or refuses it as
    a bad message (``crash``). What exhausts memory or the stack without ending the process is tried one by one at once.
    """

    def __init__(self, inner: Decoder, crumb: Breadcrumb, *, on_crash: OnCrash) -> None:
        self._inner = inner
        self._crumb = crumb
        self._on_crash = on_crash

    def decode(self, messages: Messages) -> Decoded:
        """Decode messages of one topic, in their order; raises what the decoder within raises, DeadlyMessageError."""
        if not self._crumb.suspects:
            return self._all(messages)
        plain: list[int] = []
        parts: list[tuple[Sequence[int], Decoded]] = []
        counted = [
            self._crumb.crashes(partition, offset)
            for partition, offset in zip(messages.partitions, messages.offsets, strict=True)
        ]
        self._refuse(messages, counted)
        for index, crashes in enumerate(counted):
            if crashes == 0:
                plain.append(index)
            elif crashes >= CRASHES:
                parts.append(([index], _refused(f"decoding it ended the process {crashes} times", "crash")))
            else:
                parts.append(([index], self._one(messages.take([index]), crashes)))
        # also where it is empty: it says what the columns are
        parts.append((plain, self._all(messages.take(plain))))
        return _merged(parts)

    def _refuse(self, messages: Messages, counted: Sequence[int]) -> None:
        for index, crashes in enumerate(counted):
            if crashes >= CRASHES and self._on_crash == "halt":
                partition, offset = messages.partitions[index], messages.offsets[index]
                raise DeadlyMessageError(
                    f"decoding offset {offset} of {messages.topic}/{partition} ended the process {crashes} times. Set"
                    " SINK_ON_CRASH=quarantine and start the sink again: it puts this message into quarantine without"
                    f" decoding it. To have it decoded once more, stop the sink and remove {self._crumb.path}",
                    partition=partition,
                    offset=offset,
                )

    def _all(self, messages: Messages) -> Decoded:
        """Decode all at once; one by one where that takes more than there is."""
        self._crumb.enter(_spans(messages))
        try:
            return self._inner.decode(messages)
        except _EXHAUSTED as error:
            log.warning("decoding one by one", topic=messages.topic, messages=len(messages), cause=type(error).__name__)
        finally:
            self._crumb.leave()
        one_by_one = [([index], self._one(messages.take([index]), 0)) for index in range(len(messages))]
        # decoding nothing says what the columns are, should none of them pass
        return _merged([([], self._inner.decode(messages.take([]))), *one_by_one])

    def _one(self, message: Messages, crashes: int) -> Decoded:
        partition, offset = message.partitions[0], message.offsets[0]
        self._crumb.enter([Stretch(partition=partition, start=offset, end=offset + 1, crashes=crashes)])
        try:
            decoded = self._inner.decode(message)
        except _EXHAUSTED as error:
            decoded = _refused(f"{type(error).__name__} while decoding it", "decode")
        finally:
            self._crumb.leave()
        if crashes:
            self._crumb.passed(partition, offset)
        return decoded


class SparingDecoder:
    """Decodes as the decoder within does, but refuses the messages at ``places``, which are known to be deadly."""

    def __init__(self, inner: Decoder, places: Collection[tuple[int, int]]) -> None:
        self._inner = inner
        self._places = places

    def decode(self, messages: Messages) -> Decoded:
        """Decode messages of one topic, in their order."""
        places = enumerate(zip(messages.partitions, messages.offsets, strict=True))
        spared = [index for index, place in places if place in self._places]
        if not spared:
            return self._inner.decode(messages)
        others = sorted(set(range(len(messages))).difference(spared))
        refused = [
            ([index], _refused("it is in quarantine because decoding it ended the process", "crash"))
            for index in spared
        ]
        return _merged([(others, self._inner.decode(messages.take(others))), *refused])


def _spans(messages: Messages) -> list[Stretch]:
    """Give the offsets of each partition; within one they ascend, so the last one that is put into a dict stays."""
    last = dict(zip(messages.partitions, messages.offsets, strict=True))
    first = dict(zip(reversed(messages.partitions), reversed(messages.offsets), strict=True))
    return [Stretch(partition=number, start=first[number], end=last[number] + 1, crashes=0) for number in sorted(first)]


def _refused(error: str, reason: str) -> Decoded:
    return Decoded(frame=pl.DataFrame(), bad=[BadRow(index=0, reason=reason, error=error)])


def _merged(parts: Sequence[tuple[Sequence[int], Decoded]]) -> Decoded:
    """Put parts together; each comes with the indices that its messages have in the whole."""
    frames = [_moved(decoded.frame, indices) for indices, decoded in parts if decoded.frame.width]
    return Decoded(
        frame=pl.concat(frames).sort(MESSAGE),
        bad=sorted(
            (replace(bad, index=indices[bad.index]) for indices, decoded in parts for bad in decoded.bad),
            key=lambda bad: bad.index,
        ),
        schema_ids=frozenset().union(*(decoded.schema_ids for _, decoded in parts)),
        unknown_fields=sum(decoded.unknown_fields for _, decoded in parts),
    )


def _moved(frame: pl.DataFrame, indices: Sequence[int]) -> pl.DataFrame:
    return frame.with_columns(pl.Series(MESSAGE, indices, dtype=pl.UInt32).gather(frame[MESSAGE]).alias(MESSAGE))
