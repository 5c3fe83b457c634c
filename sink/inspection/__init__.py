"""Looks at what the sink has done: these modules read, they never write."""
