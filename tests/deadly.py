"""``sink run`` with a decoder that kills its process at certain messages, as a fault in native code would.

Run as ``python -m tests.deadly DATASET``; everything but the decoder is the sink's own.
"""

from __future__ import annotations

import os
import signal
import sys

from sink import logs, supervisor
from sink.avro.decode import Decoder
from sink.avro.registry import Registry
from sink.batch import Decoded, Messages
from sink.cli.run import member_of
from sink.cli.stopping import stop_on_signals
from sink.cli.wiring import decoder_for
from sink.datasets import DATASETS, Dataset
from sink.settings import Settings, load

DEADLY = b"DEADLY"
"""Whatever holds this kills."""


class DeadlyDecoder:
    """Looks at the messages before the decoder within does."""

    def __init__(self, inner: Decoder) -> None:
        self._inner = inner

    def decode(self, messages: Messages) -> Decoded:
        """Decode them, or die."""
        if any(value is not None and DEADLY in value for value in messages.values):
            os.kill(os.getpid(), signal.SIGKILL)
        return self._inner.decode(messages)


def _deadly(dataset: Dataset, settings: Settings, registry: Registry | None) -> Decoder:
    return DeadlyDecoder(decoder_for(dataset, settings, registry))


def main() -> None:
    """Run until a signal comes or a message kills."""
    settings = load(datasets=DATASETS)
    logs.configure(form=settings.log.format, level=settings.log.level, stream=sys.stderr)
    stop = stop_on_signals(settings)
    supervisor.run([member_of(DATASETS[sys.argv[1]], settings, None, make_decoder=_deadly)], stop=stop)


if __name__ == "__main__":
    main()
