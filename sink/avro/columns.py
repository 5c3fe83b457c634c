"""The columnar decoder: all messages of one writer at once, with the reference decoder for what it doubts.

The values are joined, a tag behind each, as the body of an Avro container file, which Polars reads as one frame. A
corrupt message shifts its neighbours, so every tag must stand where it is expected; tags start at a random number,
so that no message can contain them on purpose. Whatever does not fit goes to the reference decoder, which alone
says that a message is bad.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from secrets import randbelow

import polars as pl
from polars.exceptions import PanicException

from sink.avro.decode import MAX_VALUE_BYTES, Decoder, OneByOne, ReferenceDecoder, assemble
from sink.avro.layout import OK, TAG, Container, Layout, layout_of, outline_of
from sink.avro.schemas import Schema, known_schemas, shipped_schema
from sink.avro.wire import Shape
from sink.avro.writers import Intake, SchemaResolver, SchemaSource, Writer
from sink.batch import MESSAGE, BadRow, Decoded, Messages
from sink.datasets import Dataset
from sink.errors import BadMessage

FEW = 24
"""Below so many messages of one kind, reading them at once costs more than reading them one by one."""

_Part = tuple[pl.DataFrame, list[BadRow]]
_TAG_BASE = 2**51
_MAX_LAYOUTS = 256


class ColumnarDecoder:
    """Decodes the messages of a writer as columns; takes the arguments of the reference decoder.

    ``few`` is the number of messages below which the reference decoder is faster, ``tag_key`` the secret start of
    the tags (below 2**51).
    """

    def __init__(
        self,
        *,
        schema: Schema,
        key: Iterable[str],
        resolver: SchemaResolver,
        max_value_bytes: int = MAX_VALUE_BYTES,
        few: int = FEW,
        tag_key: int | None = None,
    ) -> None:
        self._intake = Intake(schema=schema, resolver=resolver, max_value_bytes=max_value_bytes)
        self._one_by_one = OneByOne(columns=self._intake.columns, key=frozenset(key))
        self._few = few
        self._tags = _Tags(_TAG_BASE + (randbelow(_TAG_BASE) if tag_key is None else tag_key))
        self._layouts: dict[tuple[bytes, Shape], Layout | None] = {}

    def decode(self, messages: Messages) -> Decoded:
        """Decode messages of one topic, in their order."""
        groups, bad = self._intake.sort(messages)
        frames: list[pl.DataFrame] = []
        unknown = 0
        for writer, indices in groups:
            for frame, refused in self._parts(writer, messages.values, indices):
                frames.append(frame)
                bad += refused
                unknown += frame.height * len(writer.resolution.unknown)
        return assemble(self._intake.columns, frames, bad, frozenset(writer.label for writer, _ in groups), unknown)

    def _parts(self, writer: Writer, values: Sequence[bytes | None], indices: Sequence[int]) -> list[_Part]:
        """Read one writer's messages at once where they are alike, else sorted by shape, else one by one."""
        if len(indices) < self._few or not writer.node.plain:
            return [self._one_by_one.decode(writer, values, indices)]
        alike = self._alike(writer, _shape_of_first(writer, values, indices), values, indices)
        if alike is not None:
            return [alike]
        shapes, broken = self._outlined(writer, values, indices), list[int]()
        if shapes is None:
            shapes, broken = _by_shape(writer, values, indices)
        parts = [self._one_by_one.decode(writer, values, broken)] if broken else []
        for shape, members in shapes.items():
            parts += self._halves(writer, shape, values, members)
        return parts

    def _halves(
        self, writer: Writer, shape: Shape, values: Sequence[bytes | None], indices: Sequence[int]
    ) -> list[_Part]:
        """Read well-formed messages of one shape; halve them around one that Polars refuses, such as bad UTF-8."""
        many = len(indices) >= self._few and self._layout(writer, shape) is not None
        alike = self._alike(writer, shape, values, indices) if many else None
        if alike is not None:
            return [alike]
        if not many or len(indices) < 2 * self._few:
            return [self._one_by_one.decode(writer, values, indices)]
        middle = len(indices) // 2
        return [
            *self._halves(writer, shape, values, indices[:middle]),
            *self._halves(writer, shape, values, indices[middle:]),
        ]

    def _alike(
        self, writer: Writer, shape: Shape | None, values: Sequence[bytes | None], indices: Sequence[int]
    ) -> _Part | None:
        """Read messages of one shape at once; None where not all of them have it or something else is odd."""
        layout = None if shape is None else self._layout(writer, shape)
        raw = None if layout is None else self._read(layout.container, values, indices)
        if layout is None or raw is None:
            return None
        frame = raw.select(pl.Series(MESSAGE, indices, dtype=pl.UInt32), *layout.select)
        ok = frame[OK]
        frame = frame.drop(OK)
        if ok.all():
            return frame, []
        doubtful = frame.filter(~ok)[MESSAGE].to_list()
        checked, bad = self._one_by_one.decode(writer, values, doubtful)
        return pl.concat([frame.filter(ok), checked]), bad

    def _read(
        self, container: Container, values: Sequence[bytes | None], indices: Sequence[int]
    ) -> pl.DataFrame | None:
        """Read messages as one file; None where Polars refuses, or a boundary is not where it must be."""
        tags, expected = self._tags.first(len(indices))
        pieces: list[bytes] = [b""] * (2 * len(indices))
        pieces[0::2] = [values[index] or b"" for index in indices]
        pieces[1::2] = tags
        file = io.BytesIO(container.file(len(indices), b"".join(pieces)))
        try:
            raw = pl.read_avro(file, columns=container.names)
        except (Exception, PanicException):  # noqa: BLE001 (corrupt bytes: Polars errors, OSError, panics; none matters)
            return None
        return raw if (raw[TAG] == expected).all() else None

    def _outlined(
        self, writer: Writer, values: Sequence[bytes | None], indices: Sequence[int]
    ) -> dict[Shape, list[int]] | None:
        """Sort messages by shape at once; None where that cannot be done. Their values are not yet checked."""
        outline = outline_of(writer.node, len(writer.header))
        raw = None if outline is None else self._read(outline.container, values, indices)
        if outline is None or raw is None or not outline.null_branches:
            return None
        nulls = raw.select(pl.Series(MESSAGE, indices, dtype=pl.UInt32), pl.exclude(TAG).is_null())
        shapes: dict[Shape, list[int]] = {}
        for key, part in nulls.group_by(outline.container.names[:-1]):
            taken = zip(key, outline.null_branches, strict=True)
            shapes[tuple(branch if null else 1 - branch for null, branch in taken)] = part[MESSAGE].to_list()
        return shapes

    def _layout(self, writer: Writer, shape: Shape) -> Layout | None:
        at = (writer.header, shape)
        if at not in self._layouts:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[at] = layout_of(writer.node, writer.resolution, len(writer.header), shape)
        return self._layouts[at]


def decoder_of(
    dataset: Dataset,
    *,
    registry: SchemaSource | None,
    schemas: Path | None = None,
    max_value_bytes: int = MAX_VALUE_BYTES,
    kind: type[ColumnarDecoder | ReferenceDecoder] = ColumnarDecoder,
) -> Decoder:
    """Make the decoder of a dataset: ids are looked up in the registry, fingerprints in ``schemas/``.

    ``schemas`` is that folder where it is not the shipped one. Raises DefinitionError where a schema is broken.
    """
    return kind(
        schema=shipped_schema(dataset.name, schemas),
        key=dataset.key,
        resolver=SchemaResolver(registry, known_schemas(schemas)),
        max_value_bytes=max_value_bytes,
    )


class _Tags:
    """The tags behind the bodies: consecutive numbers, as the eight bytes of a double, made once."""

    def __init__(self, base: int) -> None:
        self._base = base
        self._bytes: list[bytes] = []
        self._numbers = pl.Series(dtype=pl.Float64)

    def first(self, count: int) -> tuple[list[bytes], pl.Series]:
        """Give so many tags, as bytes and as the numbers that must be read back."""
        if count > len(self._bytes):
            numbers = [float(self._base + index) for index in range(count)]
            self._bytes = [struct.pack("<d", number) for number in numbers]
            self._numbers = pl.Series(numbers, dtype=pl.Float64)
        return self._bytes[:count], self._numbers[:count]


def _shape_of_first(writer: Writer, values: Sequence[bytes | None], indices: Sequence[int]) -> Shape | None:
    try:
        return writer.walk(values[indices[0]] or b"", len(writer.header))
    except BadMessage:
        return None


def _by_shape(
    writer: Writer, values: Sequence[bytes | None], indices: Sequence[int]
) -> tuple[dict[Shape, list[int]], list[int]]:
    """Sort messages by shape, beside those that are malformed."""
    shapes: dict[Shape, list[int]] = {}
    broken: list[int] = []
    for index in indices:
        try:
            shapes.setdefault(writer.walk(values[index] or b"", len(writer.header)), []).append(index)
        except BadMessage:
            broken.append(index)
    return shapes, broken
