"""How long tests wait for what must come, on a machine that others starve; none of it says how fast anything is."""

ANSWER = 60.0
"""Seconds for a single answer of a server of ours."""
