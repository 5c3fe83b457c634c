"""The sink with one rule missing is caught: the proof can fail."""

from __future__ import annotations

import pytest

from tests.model.mutants import MUTANTS, Mutant
from tests.model.schedule import draw
from tests.model.store import Store
from tests.model.trial import run

FOUND_BY = {
    "no fence": 5,
    "no token": 30,
    "no runner-up": 7,
    "start not stored": 3,
    "later from its end": 5,
    "silence is consent": 1,
    "no bisection": 2,
    "all in": 37,
}
"""The seed with which each mutant's search begins, because it has found it before; 0 for the others."""
SEARCHED = 60


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_missing_rule_is_noticed(store: Store, mutant: Mutant) -> None:
    first = FOUND_BY.get(mutant.name, 0)

    found = (seed for seed in range(first, first + SEARCHED) if run(draw(seed), store, mutant.parts).outcome != "right")

    assert next(found, None) is not None, mutant.missing
