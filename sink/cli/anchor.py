"""The moment to which the demo's data belong, kept so that the next run makes the very same rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sink.errors import BadFile

OLDEST = timedelta(days=20)
"""Older anchors are given up: trades are kept for 30 days, and the demo's rows should stay to be looked at."""
_AHEAD = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A full minute; ``note`` says why it is a new one, where there was another before."""

    at: datetime
    note: str | None = None


def kept_anchor(file: Path, *, now: datetime) -> Anchor:
    """Give the anchor kept in ``file``; where there is none, or one that no longer serves, keep the present minute.

    Raises BadFile where the file cannot be read.
    """
    kept = _read(file)
    if kept is None:
        return _keep(file, now, None)
    if now - kept > OLDEST:
        why = f"the rows of the first demo, of {kept:%Y-%m-%d %H:%M}, are older than {OLDEST.days} days"
    elif kept - now > _AHEAD:
        why = f"the rows of the last demo, of {kept:%Y-%m-%d %H:%M}, lie in the future"
    else:
        return Anchor(at=kept)
    return _keep(file, now, f"{why}; this run makes new ones beside them")


def _read(file: Path) -> datetime | None:
    try:
        moment = datetime.fromisoformat(json.loads(file.read_text(encoding="utf-8"))["anchor"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadFile(
            f"{file} cannot be read ({type(error).__name__}); delete it, and sink demo makes it anew"
        ) from error
    if moment.tzinfo is None:
        raise BadFile(f"{file} holds a time without a zone; delete it, and sink demo makes it anew")
    return moment


def _keep(file: Path, now: datetime, note: str | None) -> Anchor:
    minute = now.replace(second=0, microsecond=0)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"anchor": minute.isoformat()}) + "\n", encoding="utf-8")
    part.replace(file)
    return Anchor(at=minute, note=note)
