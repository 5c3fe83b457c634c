"""Tells whether the `sink run` of this container is alive: what HEALTHCHECK runs, since the image has no curl."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping

WITHIN = 3.0
"""Seconds for an answer."""


def judge(environ: Mapping[str, str]) -> str | None:
    """Give what is wrong, or None; a server that is switched off says nothing either way."""
    if environ.get("SINK_HTTP__ENABLED", "").lower() in {"0", "false", "no", "off"}:
        return None
    connection = http.client.HTTPConnection("127.0.0.1", int(environ.get("SINK_HTTP__PORT") or 8080), timeout=WITHIN)
    try:
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        said = answer.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error}"
    finally:
        connection.close()
    return None if answer.status == http.client.OK else f"{answer.status}: {said}"


if __name__ == "__main__":
    sys.exit(judge(os.environ))
