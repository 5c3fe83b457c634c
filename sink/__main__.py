"""Entry point of the ``sink`` command and of ``python -m sink``."""

from __future__ import annotations

import sys

from rich.console import Console

from sink.cli import app
from sink.errors import SinkError
from sink.redaction import redact_text


def main() -> None:
    """Run the command; an expected error becomes one sentence on stderr and its documented exit code.

    Anything else keeps its traceback, which a bug report needs. Typer and Rich see to the quiet ends: Ctrl-C with 130,
    and 1 when nobody reads the output any more.
    """
    try:
        app()
    except SinkError as error:
        message = f"error: {redact_text(str(error))}"
        Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
