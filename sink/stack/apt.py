"""The Debian mirror that this host uses, as its apt sources name it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sink.errors import ConfigError

MIRROR_VARIABLE = "SINK_STACK_MIRROR"
_MOVING_SUITES = frozenset({"stable", "oldstable", "oldoldstable", "testing", "unstable", "sid"})
_MIRROR_LIST = "mirror+file:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One entry of the apt sources that offers binary packages."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]


def mirror(*, etc: Path, given: str | None = None) -> str:
    """Give the address of a Debian archive: the given one, else the one behind the host's own release."""
    if given:
        return given
    release = _release(etc / "os-release")
    suites = _MOVING_SUITES | {release.get("VERSION_CODENAME", "stable")}
    if release.get("ID") == "debian":
        for source in sources(etc / "apt"):
            if "main" in source.components and suites.intersection(source.suites):
                for uri in source.uris:
                    return _resolve(uri)
    raise ConfigError(
        "the apt sources of this host name no Debian mirror, from which the database would be taken; "
        f"name one with {MIRROR_VARIABLE}=http://HOST/debian, or start a Docker engine, which is then used instead"
    )


def sources(directory: Path) -> Iterator[Source]:
    """Give the enabled binary sources, in apt's order: sources.list, then sources.list.d by name."""
    main = directory / "sources.list"
    parts = sorted((directory / "sources.list.d").glob("*"))
    for path in [main, *parts]:
        if path.suffix == ".list" and path.is_file():
            yield from one_line(path.read_text())
        elif path.suffix == ".sources" and path.is_file():
            yield from deb822(path.read_text())


def one_line(text: str) -> Iterator[Source]:
    """Read ``deb [options] uri suite component...`` lines."""
    for line in text.splitlines():
        entry = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s*)?([^\s#]+)\s+([^\s#]+)([^#]*)", line)
        if entry:
            yield Source(uris=(entry[1],), suites=(entry[2],), components=tuple(entry[3].split()))


def deb822(text: str) -> Iterator[Source]:
    """Read stanzas of ``Types:``, ``URIs:``, ``Suites:``, ``Components:`` and ``Enabled:`` fields."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", lines):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            else:
                name, _, value = line.partition(":")
                name = name.lower()
                fields[name] = value.strip()
        enabled = fields.get("enabled", "yes").lower() not in {"no", "false", "off", "0", "without", "disable"}
        if enabled and "deb" in fields.get("types", "").split():
            uris, suites, components = (tuple(fields.get(key, "").split()) for key in ("uris", "suites", "components"))
            yield Source(uris=uris, suites=suites, components=components)


def _resolve(uri: str) -> str:
    # Cloud images put a file of mirrors between the source and the mirror.
    if not uri.startswith(_MIRROR_LIST):
        return uri
    listed = Path(uri.removeprefix(_MIRROR_LIST)).read_text().split()
    return listed[0]


def _release(path: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in path.read_text().splitlines()) if path.is_file() else ()
    return {key: value.strip().strip("\"'") for key, _, value in pairs}
