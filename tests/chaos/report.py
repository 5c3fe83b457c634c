"""What a run of chaos did and found: lines while it runs, a summary for people and one for machines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.compare import Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round: the faults with what each did, and how everything stood afterwards."""

    number: int
    faults: list[tuple[str, str]]
    messages: int
    rows: int
    quarantined: int
    caught_up: float
    """Seconds from the last fault's end until everything was durable."""
    seconds: float
    findings: Findings
    complaints: list[str]

    @property
    def good(self) -> bool:
        """Whether everything is as it must be."""
        return not self.findings and not self.complaints


@dataclass(slots=True, kw_only=True)
class Report:
    """All rounds of one seed."""

    seed: int
    rounds: list[Round] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    """What the replicas said, and how often: faults that nobody noticed prove nothing."""
    broken: str | None = None
    """Why the run ended early."""

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled, regressed or wrong, in any round."""
        return self.broken is None and all(one.good for one in self.rounds)

    def count(self, kind: str) -> int:
        """Count the findings of a kind; each round compares everything, so the worst one counts."""
        return max((len(getattr(one.findings, kind)) for one in self.rounds), default=0)

    def as_json(self) -> dict[str, Any]:
        """Give the summary for machines."""
        kinds = ("lost", "doubled", "regressed", "wrong")
        return {
            "seed": self.seed,
            "good": self.good,
            "broken": self.broken,
            **{kind: self.count(kind) for kind in kinds},
            "told": dict(self.told),
            "rounds": [
                {
                    "number": one.number,
                    "faults": [{"name": name, "did": did} for name, did in one.faults],
                    "messages": one.messages,
                    "rows": one.rows,
                    "quarantined": one.quarantined,
                    "caught_up_seconds": round(one.caught_up, 1),
                    "seconds": round(one.seconds, 1),
                    "findings": {kind: getattr(one.findings, kind) for kind in kinds},
                    "complaints": one.complaints,
                }
                for one in self.rounds
            ],
        }

    def show(self, console: Console) -> None:
        """Print the summary for people."""
        table = Table("round", "faults", "messages", "caught up", "as it must be", box=None, pad_edge=False)
        for one in self.rounds:
            names = ", ".join(name for name, _ in one.faults)
            good = "yes" if one.good else "[red]no"
            table.add_row(str(one.number), names, str(one.messages), f"{one.caught_up:.1f} s", good)
        console.print(table)
        faults = Counter(name for one in self.rounds for name, _ in one.faults)
        console.print(f"\nfaults: {', '.join(f'{name} {count}' for name, count in sorted(faults.items()))}")
        console.print(f"replicas told of: {', '.join(f'{name} {count}' for name, count in sorted(self.told.items()))}")
        if self.broken:
            console.print(f"ended early: {self.broken}", style="red", markup=False, soft_wrap=True)
        console.print(
            f"seed {self.seed}, {len(self.rounds)} rounds, {self.rounds[-1].messages if self.rounds else 0} messages:"
            f" {self.count('lost')} lost, {self.count('doubled')} doubled, {self.count('regressed')} regressed,"
            f" {self.count('wrong')} otherwise wrong"
        )
