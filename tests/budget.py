"""Compares counted work with what tests/budget.json allows, in both directions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")
SLACK = 0.1
"""How much less than the budget work may be before the budget is out of date."""


def exceeded(part: str, measured: Mapping[str, float]) -> list[str]:
    """Name what is more than its budget, and budgets that are by now so wide that a regression would fit into them."""
    allowed: dict[str, float] = json.loads(FILE.read_text())[part]
    assert allowed.keys() == measured.keys()
    over = [
        f"{part}: {name} is {value:g}, more than its budget of {allowed[name]:g}; find out what added it"
        for name, value in measured.items()
        if value > allowed[name]
    ]
    wide = [
        f"{part}: {name} is {value:g}, well below its budget of {allowed[name]:g}; lower that in {FILE.name}"
        for name, value in measured.items()
        if value < allowed[name] * (1 - SLACK) - 0.01
    ]
    return over + wide
