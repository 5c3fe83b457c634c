"""A schedule: everything that happens, drawn from a seed before it begins, so that it can be cut down and run again."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, NamedTuple, get_args

Kind = Literal[
    "produce",
    "step",
    "release",
    "work",
    "wait",
    "give",
    "forget",
    "tell",
    "crash",
    "stop",
    "start",
    "fate",
    "rewind",
    "grow",
    "snapshot",
    "failover",
    "registry_away",
    "poll_breaks",
    "kafka_silent",
    "commit_lost",
    "starts_over",
    "ghost",
]

_WEIGHTS: dict[Kind, float] = {
    "produce": 16,
    "step": 20,
    "release": 12,
    "work": 18,
    "wait": 2,
    "give": 5,
    "forget": 4,
    "tell": 3,
    "crash": 3,
    "stop": 1.5,
    "start": 4,
    "fate": 12,
    "rewind": 3.5,
    "grow": 2,
    "snapshot": 2.5,
    "failover": 2,
    "registry_away": 1.5,
    "poll_breaks": 2,
    "kafka_silent": 1,
    "commit_lost": 1,
    "starts_over": 2.5,
    "ghost": 1.5,
}


class Action(NamedTuple):
    """One thing that happens; what the numbers mean depends on its kind, and on what there is to choose from then."""

    kind: Kind
    a: int
    b: int
    c: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What happens to how large a sink."""

    seed: int
    dataset: Literal["trades", "candles_1m"]
    keys: int
    members: int
    partitions: int
    max_rows: int
    max_age: float
    lenient: bool
    actions: tuple[Action, ...]

    def without(self, start: int, count: int) -> Schedule:
        """Leave actions out."""
        return replace(self, actions=self.actions[:start] + self.actions[start + count :])

    def written(self) -> str:
        """Give it as text that :func:`read` takes."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def shown(self) -> Sequence[str]:
        """Give one line per action."""
        return [f"{kind} {a} {b} {c}" for kind, a, b, c in self.actions]


def draw(seed: int) -> Schedule:
    """Draw a schedule; the same seed gives the same one."""
    dice = random.Random(seed)
    kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    chosen: list[Kind] = ["produce", "produce", "work", "work", *dice.choices(kinds, weights, k=dice.randint(12, 40))]
    return Schedule(
        seed=seed,
        dataset=dice.choice(("trades", "candles_1m")),
        keys=dice.choice((2, 3, 6)),
        members=dice.choice((1, 2, 2, 3)),
        partitions=dice.choice((1, 2, 2, 3)),
        max_rows=dice.choice((2, 4, 50)),
        max_age=dice.choice((0.0, 0.0, 1.0, 3.0)),
        lenient=dice.random() < 0.3,
        actions=tuple(
            Action(kind, dice.randrange(1 << 16), dice.randrange(1 << 16), dice.randrange(1 << 16)) for kind in chosen
        ),
    )


def read(text: str) -> Schedule:
    """Read what :meth:`Schedule.written` wrote."""
    fields = json.loads(text)
    actions = tuple(Action(*action) for action in fields.pop("actions"))
    unknown = {action.kind for action in actions} - set(get_args(Kind))
    if unknown:
        raise ValueError(f"no such actions: {', '.join(sorted(unknown))}")
    return Schedule(**fields, actions=actions)
