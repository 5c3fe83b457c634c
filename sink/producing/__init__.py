"""Putting market data into the topics: typed producer, exchange dumps, simulator."""
