"""``sink stack``: the development servers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sink.cli.steps import steps_on
from sink.stack import ServerStatus, Stack

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Development servers: a real broker, schema registry and database."
)

EXIT_NOT_RUNNING = 3
Directory = Annotated[Path, typer.Option("--directory", help="Where data, logs and process records lie.")]
_DIRECTORY = Path(".stack")


@app.command()
def up(directory: Directory = _DIRECTORY) -> None:
    """Start the servers that do not run, and say how to reach them.

    What is missing is downloaded first. With a Docker engine they run in it, otherwise as processes.

    For example:

    - `sink stack up`
    """
    console = Console(highlight=False)
    with steps_on(console) as steps:
        stack = Stack(directory, steps=steps)
        stack.up()
    for name, value in stack.settings().items():
        console.print(f"{name}={value}", soft_wrap=True, markup=False)
    console.print(f"written to {stack.env_file}, where sink finds them", soft_wrap=True, markup=False)


@app.command()
def down(directory: Directory = _DIRECTORY) -> None:
    """Stop the servers that `up` started; the data stay.

    For example:

    - `sink stack down`
    """
    with steps_on(Console(highlight=False)) as steps:
        Stack(directory, steps=steps).down()


@app.command()
def reset(directory: Directory = _DIRECTORY) -> None:
    """Stop the servers and delete their data; downloads stay.

    For example:

    - `sink stack reset`
    """
    with steps_on(Console(highlight=False)) as steps:
        Stack(directory, steps=steps).reset()


@app.command()
def status(
    directory: Directory = _DIRECTORY,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - an option's default
) -> None:
    """Show each server; the exit code is 0 when all run, 3 otherwise.

    For example:

    - `sink stack status`
    - `sink stack status --json`
    """
    servers = Stack(directory).status()
    if as_json:
        typer.echo(json.dumps([asdict(server) for server in servers], indent=2))
    else:
        Console(highlight=False).print(_table(servers))
    if any(server.state != "running" for server in servers):
        raise typer.Exit(EXIT_NOT_RUNNING)


def _table(servers: list[ServerStatus]) -> Table:
    table = Table("server", "state", "address", "pid", "memory", "version", box=None, pad_edge=False)
    for server in servers:
        memory = "-" if server.memory is None else f"{server.memory / 2**20:.0f} MB"
        colour = "green" if server.state == "running" else "red"
        state = f"[{colour}]{server.state}[/]"
        table.add_row(server.name, state, server.address, str(server.pid or "-"), memory, server.version)
    return table
