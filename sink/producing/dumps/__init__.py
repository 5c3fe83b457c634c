"""Public exchange dumps as payloads: klines, trades, aggTrades, fundingRate and metrics files.

``identify`` says what a file holds, ``read`` gives its payloads; one module a kind, the rest is common to all.
"""

from sink.producing.dumps.files import verify_checksum
from sink.producing.dumps.names import Dump, identify
from sink.producing.dumps.reader import LineNote, pass_over, read, stop

__all__ = ["Dump", "LineNote", "identify", "pass_over", "read", "stop", "verify_checksum"]
