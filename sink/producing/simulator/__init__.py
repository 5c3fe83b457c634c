"""Plausible, reproducible markets: trades, the candles they make, open interest and funding."""

from sink.producing.simulator.plan import Plan
from sink.producing.simulator.stream import simulate

__all__ = ["Plan", "simulate"]
