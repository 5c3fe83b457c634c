"""``python -m tests.model``: the proof. Random schedules must all end right, and none of the mutants may survive."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sink.stack import Stack
from tests.fix_database import template_of
from tests.fix_stack import DATABASE_VARIABLE, DIRECTORY
from tests.model.mutants import MUTANTS, Mutant
from tests.model.run import Tally, Workers, parts_of, workers
from tests.model.schedule import Schedule, draw, read
from tests.model.store import temporary_store
from tests.model.trial import Verdict, run, shrunk

SEEDS = 1_000_000
"""Schedules of one ``--seed``."""
_LINES = 20
"""Differences that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """What came of hunting one mutant: in how many schedules it was found, by which seed, and how it ended."""

    mutant: Mutant
    trials: int
    found: tuple[int, Verdict] | None


@contextmanager
def _server() -> Iterator[str]:
    """Give the database server: the one that is named, the stack that runs, or one that is started and stopped."""
    given = os.environ.get(DATABASE_VARIABLE)
    if given:
        yield given
        return
    stack = Stack(DIRECTORY)
    ours = all(server.state == "stopped" for server in stack.status())
    if any(server.state != "running" for server in stack.status()):
        stack.up()
    try:
        yield stack.settings()["DATABASE_URL"]
    finally:
        if ours:
            stack.down()


def _prove(crew: Workers, seeds: range, progress: Progress) -> Tally:
    bar = progress.add_task("all defences on", total=len(seeds), rate="")
    begun = time.monotonic()
    tally = Tally()
    for seed, verdict in crew.trials(None, seeds):
        tally.add(seed, verdict)
        rate = f"{tally.trials / (time.monotonic() - begun):.1f}/s"
        progress.update(bar, advance=1, rate=rate)
        if progress.disable and tally.trials % 250 == 0:
            progress.console.print(f"{tally.trials} of {len(seeds)} schedules, {rate}: {dict(tally.outcomes)}")
        if tally.failure is not None:
            break
    return tally


def _hunt(crew: Workers, mutant: Mutant, seeds: range, progress: Progress) -> Hunt:
    bar = progress.add_task(mutant.name, total=len(seeds), rate="")
    tried = 0
    for seed, verdict in crew.trials(mutant, seeds):
        tried += 1
        progress.update(bar, advance=1)
        if verdict.outcome != "right":
            progress.update(bar, total=tried)
            return Hunt(mutant=mutant, trials=tried, found=(seed, verdict))
    return Hunt(mutant=mutant, trials=tried, found=None)


def _show(console: Console, tally: Tally, seconds: float, hunts: list[Hunt]) -> None:
    console.print(
        f"{tally.trials} schedules in {seconds:.0f} s ({tally.trials / seconds:.1f}/s): {dict(tally.outcomes)}"
    )
    happened = Table("happened", "times", title="In these schedules")
    for name, count in sorted(tally.happened.items()):
        happened.add_row(name, str(count))
    console.print(happened)
    table = Table("mutant", "without its rule", "ended", "schedules", "seed", title="Mutants")
    for hunt in hunts:
        seed, ended = (str(hunt.found[0]), hunt.found[1].outcome) if hunt.found else ("", "SURVIVED")
        table.add_row(hunt.mutant.name, hunt.mutant.missing, ended, str(hunt.trials), seed)
    console.print(table)


def _as_json(tally: Tally, seconds: float, hunts: list[Hunt]) -> str:
    return json.dumps(
        {
            "schedules": tally.trials,
            "seconds": round(seconds, 1),
            "outcomes": tally.outcomes,
            "happened": dict(sorted(tally.happened.items())),
            "failed_seed": tally.failure[0] if tally.failure else None,
            "mutants": {
                hunt.mutant.name: {
                    "schedules": hunt.trials,
                    "seed": hunt.found[0] if hunt.found else None,
                    "outcome": hunt.found[1].outcome if hunt.found else "survived",
                }
                for hunt in hunts
            },
        },
        indent=2,
    )


def _explain(console: Console, server: str, schedule: Schedule, mutant: str | None) -> bool:
    """Run one schedule and say whether it is right; else show the shortest that fails alike, and how to run that."""
    parts = parts_of(mutant)
    with temporary_store(server, template_of(server)) as store:
        verdict = run(schedule, store, parts)
        if verdict.outcome == "right":
            console.print(f"schedule {schedule.seed}: right")
            return True
        wanted = verdict.outcome
        least = shrunk(schedule, lambda shorter: run(shorter, store, parts).outcome == wanted)
        verdict = run(least, store, parts)
    console.print(f"schedule {schedule.seed} ended {verdict.outcome}; these {len(least.actions)} actions suffice:")
    for line in (*least.shown(), "", *verdict.differences[:_LINES]):
        console.print(line, markup=False, highlight=False)
    named = f" --mutant '{mutant}'" if mutant else ""
    console.print("\nRun just that:", markup=False)
    console.print(f"python -m tests.model{named} --schedule '{least.written()}'", markup=False, soft_wrap=True)
    return False


def main(
    *,
    schedules: Annotated[int, typer.Option(min=1, help="Schedules with all defences on.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Which schedules; the same number gives the same ones.")] = 1,
    limit: Annotated[int, typer.Option(min=1, help="Schedules in which a mutant must be found.")] = 3_000,
    processes: Annotated[int, typer.Option(min=1, help="Worker processes.")] = os.cpu_count() or 1,
    only: Annotated[int | None, typer.Option(help="Run this one schedule, by its seed.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Run this one schedule, as a failure printed it.")] = None,
    mutant: Annotated[str | None, typer.Option(help="Run the one schedule on this mutant.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Play random schedules of everything that can go wrong on the real code, and compare the tables with an oracle."""
    console = Console(stderr=as_json)
    with _server() as server:
        if only is not None or schedule is not None:
            one = draw(only) if only is not None else read(schedule or "")
            raise typer.Exit(0 if _explain(console, server, one, mutant) else 1)
        seeds = range(seed * SEEDS, seed * SEEDS + schedules)
        columns = ("{task.description}", "{task.fields[rate]}")
        bars = Progress(
            TextColumn(columns[0]),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn(columns[1]),
            console=console,
            disable=not console.is_terminal,
        )
        begun = time.monotonic()
        with workers(server, template_of(server), processes) as crew, bars:
            tally = _prove(crew, seeds, bars)
            seconds = time.monotonic() - begun
            hunts = []
            if tally.failure is None:
                hunts = [_hunt(crew, one, range(seeds.start, seeds.start + limit), bars) for one in MUTANTS]
        _show(console, tally, seconds, hunts)
        if as_json:
            sys.stdout.write(_as_json(tally, seconds, hunts) + "\n")
        if tally.failure is not None:
            _explain(console, server, draw(tally.failure[0]), None)
    if tally.failure is not None or any(hunt.found is None for hunt in hunts):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
