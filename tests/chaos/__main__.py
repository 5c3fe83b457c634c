"""``python -m tests.chaos``, which `make chaos` runs: rounds of faults under load, each with a full comparison."""

from __future__ import annotations

import random
import secrets
import shutil
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sink.errors import SinkError
from tests.chaos.faults import FAULTS
from tests.chaos.play import PER_ROUND, decks, play_round
from tests.chaos.report import Report
from tests.chaos.world import LOGS, World, world


def chaos(
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds.")] = 20,
    seed: Annotated[int | None, typer.Option(help="Which faults, in which order; by chance if none.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this fault; may be given again.")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
) -> None:
    """Break everything around the sink, and some of the sink, under load; compare every row, column and offset."""
    console = Console(stderr=True, highlight=False)
    unknown = set(only or ()) - FAULTS.keys()
    if unknown:
        raise typer.BadParameter(f"no fault is called {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    report = Report(seed=secrets.randbelow(10_000) if seed is None else seed)
    console.print(f"seed {report.seed}; starting a broker, a registry and a database of our own")
    directory = Path(tempfile.mkdtemp(prefix="sink-chaos-"))
    directory.chmod(0o755)  # the database's user must get through
    with world(directory, report.seed) as made:
        try:
            _rounds(made, report, rounds, only or [], console)
        except (TimeoutError, SinkError) as error:
            report.broken = str(error)
        report.told = made.replicas.told
        if not report.good:
            kept = Path(tempfile.mkdtemp(prefix="sink-chaos-logs-"))
            shutil.copytree(directory / LOGS, kept, dirs_exist_ok=True)
            console.print(f"what the replicas said is kept in {kept}", soft_wrap=True)
    report.show(console)
    if json:
        Console(file=sys.stdout).print_json(data=report.as_json())
    if not report.good:
        again = "".join(f" --only {name}" for name in only or ())
        console.print(f"again: python -m tests.chaos --rounds {rounds} --seed {report.seed}{again}")
    raise typer.Exit(0 if report.good else 1)


def _rounds(made: World, report: Report, rounds: int, only: list[str], console: Console) -> None:
    dice = random.Random(report.seed)
    deck = decks(dice, only or sorted(FAULTS))
    columns = (TextColumn("rounds"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) if console.is_terminal else nullcontext() as progress:
        task = progress.add_task("rounds", total=rounds) if progress else None
        for number in range(1, rounds + 1):
            names = [next(deck) for _ in range(PER_ROUND)]
            console.print(f"round {number}: {', '.join(names)}")
            played = play_round(
                made, number, names, dice, lambda line: console.print(line, soft_wrap=True, markup=False)
            )
            report.rounds.append(played)
            said = "all as it must be" if played.good else f"{played.findings}\n" + "\n".join(played.complaints)
            console.print(
                f"  {played.messages} messages, {played.rows} rows, {played.quarantined} in quarantine; caught up in"
                f" {played.caught_up:.1f} s; {said}",
                soft_wrap=True,
                markup=False,
            )
            if progress and task is not None:
                progress.advance(task)
            if not played.good:
                return
        made.replicas.stop_all()


if __name__ == "__main__":
    typer.run(chaos)
