"""Keeps panics of the native reader to one line each: backtraces of contained panics cost a tenth of a second."""

from __future__ import annotations

import os

os.environ["RUST_BACKTRACE"] = "0"
