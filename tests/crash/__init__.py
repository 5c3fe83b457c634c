"""Processes that are struck at a named step of their work."""
