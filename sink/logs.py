"""Structured logs on stderr: lines for people, or one JSON object a record for machines."""
