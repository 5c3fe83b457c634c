"""Putting market data into the topics: typed producer, exchange dumps, simulator."""

from sink.producing.producer import MarketProducer

__all__ = ["MarketProducer"]
