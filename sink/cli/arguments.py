"""Arguments as people write them: durations, times, rates, lists."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sink.errors import ConfigError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_MOST_DAYS = 36_500


def duration(text: str) -> timedelta:
    """Read ``90s``, ``10m``, ``8h`` or ``2d``."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip().lower())
    length = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < length <= timedelta(days=_MOST_DAYS):
        raise ConfigError(f"{text!r} is no duration; write 90s, 10m, 8h or 2d")
    return length


def moment(text: str) -> datetime:
    """Read an ISO 8601 time such as ``2024-01-01T00:00Z``; without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(text.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(f"{text!r} is no time; write 2024-01-01T00:00Z") from None


def rate(text: str) -> float | None:
    """Read ``500`` or ``500/s``, in messages a second; ``max`` is None, without a limit."""
    if text.strip().lower() == "max":
        return None
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(/s)?", text.strip().lower())
    value = float(match[1]) if match else 0.0
    if not value:
        raise ConfigError(f"{text!r} is no rate; write 500/s or max")
    return value


def names(text: str) -> tuple[str, ...]:
    """Read a list with commas between its names."""
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)
