"""What mends a quarantined message, one line for each reason."""

from __future__ import annotations

_PRODUCER = "mend the producer and have it send the value again under a new offset, then drop this message"

CURES: dict[str, str] = {
    "null_value": "a tombstone, and the sink deletes nothing: drop it, and have the producer send none",
    "framing": f"no header and body of Avro: {_PRODUCER}",
    "magic": f"not framed as Avro (JSON, Protobuf, another serializer?): {_PRODUCER}",
    "too_large": "raise SINK_MAX_MESSAGE_BYTES for sink run and for the retry, then retry",
    "unknown_schema": "register the writer's schema, correct SINK_REGISTRY__URL, or put the .avsc into schemas/; then"
    " retry",
    "wrong_record": "if it came to the wrong topic, send it to its own and drop it; if a field was renamed, give the"
    " column that alias in schemas/, then retry",
    "decode": f"the body is damaged, or was written by another schema than its header names: {_PRODUCER}",
    "trailing_bytes": f"the body was written by another schema than its header names: {_PRODUCER}",
    "null_key": f"a row needs every column of its key: {_PRODUCER}",
    "decimal_range": f"the number does not fit decimal(38, 18) exactly: {_PRODUCER}",
    "non_finite": f"NaN and infinity are no numbers of a market: {_PRODUCER}",
    "text": f"text that the table cannot hold: {_PRODUCER}",
    "ts_range": "times are UTC microseconds: mend the producer; if only the limit is too narrow, raise"
    " SINK_FUTURE_TOLERANCE, then retry",
    "no_observed_at": "have the producer fill observed_at, or go back to the dataset's clock 'record' if nothing else"
    " was written by the other; then retry",
    "rejected": "the constraint in the error says what the table refuses: mend the table (sink migrate --check), then"
    " retry; or mend the producer and drop",
    "crash": "decoding it ended the process three times: update the sink, try `sink quarantine retry` away from"
    " production, or drop it",
}
"""By the reasons that docs/messages.md explains."""

_UNKNOWN = "written by another version of the sink, whose docs/messages.md explains the reason"


def cure_of(reason: str) -> str:
    """Say what mends a message of this reason."""
    return CURES.get(reason, _UNKNOWN)
