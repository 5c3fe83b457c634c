"""Keeps secrets out of what people and log collectors read."""

from __future__ import annotations

import re
from collections.abc import Mapping

MASK = "***"

_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token(?!.*url$)|jaas|basic[._]auth|\.pem$"
    r"|sasl[._](?!mechanisms?$)|ssl[._]key(?!.*location$)",
    re.IGNORECASE,
)
# Greedy up to the last @ of the word: a password may itself hold an unescaped @ or /.
_URL_PASSWORD = re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)\S*@", re.IGNORECASE)
# As in a connection string, a query string or a librdkafka option: sslpassword=..., sasl.password = '...'.
_ASSIGNMENT = re.compile(
    r"(?P<head>\b[\w.-]*(?:passw(?:or)?d|passphrase|secret|token)[\w.-]*\s*=\s*)(?:'[^']*'|\"[^\"]*\"|[^\s&,;]+)",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Whether a setting, option or log field of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def redact_text(text: str) -> str:
    """Mask the passwords of URLs and of ``password=...`` assignments within a text."""
    return _ASSIGNMENT.sub(rf"\g<head>{MASK}", _URL_PASSWORD.sub(rf"\g<head>{MASK}@", text))


def redact(name: str, value: object) -> object:
    """Mask a named value if its name is a secret's, and what is secret inside it otherwise.

    Numbers, mappings and sequences stay what they are; anything else, such as an exception, becomes redacted text.
    """
    if value is None:
        return None
    if is_secret(name):
        return MASK
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): redact(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(name, inner) for inner in value]
    return redact_text(str(value))
