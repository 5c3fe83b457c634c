"""What several commands share on the command line: options, the settings that one of them names, the last question."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from sink import logs
from sink.datasets import DATASETS
from sink.errors import ConfigError
from sink.settings import Settings, load


def completed(incomplete: str) -> list[str]:
    """Name the datasets that a shell may complete a word to."""
    return [name for name in DATASETS if name.startswith(incomplete)]


Names = Annotated[
    list[str] | None, typer.Argument(metavar="DATASET", help="Datasets; all if none.", autocompletion=completed)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
AsJsonUnasked = Annotated[bool, typer.Option("--json", help="Print JSON, for machines; needs --yes.")]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing.")]
SettingsFile = Annotated[Path | None, typer.Option("--file", help="Read settings from this TOML file as well.")]


def settings_from(file: Path | None) -> Settings:
    """Load the settings; what is logged goes to stderr."""
    settings = load(config=file, datasets=DATASETS)
    logs.configure(form=settings.log.format, level=settings.log.level, stream=sys.stderr)
    return settings


def confirm(question: str, *, act: str, undone: str, as_json: bool, show: Callable[[], object] = lambda: None) -> None:
    """Show what is about to be done, and ask; ``act`` is what --yes is for, ``undone`` what a no leaves.

    Raises ConfigError after a no, and where nobody can be asked.
    """
    if as_json or not sys.stdin.isatty():
        raise ConfigError(f"nobody can be asked here; give --yes to {act}")
    show()
    if not typer.confirm(question):
        raise ConfigError(undone)
