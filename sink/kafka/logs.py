"""What librdkafka says by itself, kept out of the errors: what matters of it is raised where it is met."""

from __future__ import annotations

import logging


class Remarks(logging.LoggerAdapter[logging.Logger]):
    """A logger for librdkafka that passes its lines on at debug level.

    It logs every lost connection as an error, though most mend themselves.
    """

    def log(self, level: int, msg: object, *args: object, **_: object) -> None:
        """Pass one line on, with librdkafka's own level in front."""
        self.logger.debug("librdkafka, level %s: " + str(msg), logging.getLevelName(level), *args)  # noqa: G003 (its template)


def remarks(name: str) -> Remarks:
    """Give the logger that a client of this module hands to librdkafka."""
    return Remarks(logging.getLogger(name), {})
