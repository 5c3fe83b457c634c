"""Entry point of the ``sink`` command and of ``python -m sink``."""

from __future__ import annotations

import sys

from rich.console import Console

from sink.cli import app
from sink.errors import SinkError


def main() -> None:
    """Run the command; an expected error becomes one sentence on stderr and its documented exit code."""
    try:
        app()
    except SinkError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
