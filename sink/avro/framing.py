"""The header before a message's body, which says by which schema it was written.

Two framings are read and written: Confluent's (0x00, then the registry's id as four bytes, big-endian) and Avro's
single-object encoding (0xC3 0x01, then the schema's CRC-64-AVRO fingerprint as eight bytes, little-endian).
"""

from __future__ import annotations

from sink.errors import BadMessage

CONFLUENT_MAGIC = b"\x00"
CONFLUENT_HEADER = 5
SINGLE_OBJECT_MAGIC = b"\xc3\x01"
SINGLE_OBJECT_HEADER = 10

MAX_SCHEMA_ID = 2**31 - 1


def frame_confluent(schema_id: int, body: bytes) -> bytes:
    """Put Confluent's header before a body; ``schema_id`` is the registry's."""
    return CONFLUENT_MAGIC + schema_id.to_bytes(4, "big") + body


def frame_single_object(fingerprint: bytes, body: bytes) -> bytes:
    """Put the header of Avro's single-object encoding before a body; ``fingerprint`` is little-endian."""
    return SINGLE_OBJECT_MAGIC + fingerprint + body


def header_of(value: bytes) -> bytes:
    """Give the header of a message's value; raises BadMessage where there is none or nothing follows it."""
    if value[:1] == CONFLUENT_MAGIC:
        size = CONFLUENT_HEADER
    elif value[:2] == SINGLE_OBJECT_MAGIC:
        size = SINGLE_OBJECT_HEADER
    elif len(value) <= CONFLUENT_HEADER:
        size = CONFLUENT_HEADER
    else:
        raise BadMessage("magic", f"value starts with 0x{value[:2].hex()}, neither a registry id nor a fingerprint")
    if len(value) <= size:
        raise BadMessage("framing", f"value of {len(value)} bytes is too short for a header and a body")
    return value[:size]


def schema_id_of(header: bytes) -> int | None:
    """Give the registry's id of a header, or None where it holds a fingerprint."""
    return int.from_bytes(header[1:], "big") if len(header) == CONFLUENT_HEADER else None


def label_of(header: bytes) -> str:
    """Name the writer schema of a header as people look it up: the registry's id, or the fingerprint in hex."""
    schema_id = schema_id_of(header)
    return header[2:].hex() if schema_id is None else str(schema_id)
