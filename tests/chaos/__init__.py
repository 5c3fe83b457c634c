"""Faults of every kind under load, on servers of our own, and the comparison of everything afterwards."""
