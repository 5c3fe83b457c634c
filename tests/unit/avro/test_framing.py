"""Both headers are written and read; what has none is named."""

from __future__ import annotations

import pytest

from sink.avro.framing import frame_confluent, frame_single_object, header_of, label_of, schema_id_of
from sink.errors import BadMessage


def test_confluent_header_holds_the_id_in_four_bytes() -> None:
    value = frame_confluent(258, b"body")
    assert value == b"\x00\x00\x00\x01\x02body"
    assert header_of(value) == value[:5]
    assert schema_id_of(value[:5]) == 258
    assert label_of(value[:5]) == "258"


def test_single_object_header_holds_the_fingerprint() -> None:
    value = frame_single_object(bytes(range(8)), b"body")
    assert value == b"\xc3\x01" + bytes(range(8)) + b"body"
    assert header_of(value) == value[:10]
    assert schema_id_of(value[:10]) is None
    assert label_of(value[:10]) == "0001020304050607"


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x00\x00\x00\x00\x01", b"\xc3", b"\xc3\x01" + bytes(8), b"abcde"])
def test_too_short_values_are_framing(value: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        header_of(value)
    assert caught.value.reason == "framing"


@pytest.mark.parametrize("value", [b"\x01" + bytes(20), b'{"symbol": "BTCUSDT"}', b"\xc3\x02" + bytes(20)])
def test_other_first_bytes_are_magic(value: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        header_of(value)
    assert caught.value.reason == "magic"
