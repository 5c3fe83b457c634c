"""Entry point of the ``sink`` command and of ``python -m sink``."""

from __future__ import annotations

import os
import sys

from rich.console import Console

from sink.cli import app
from sink.errors import SinkError
from sink.redaction import redact_text


def main() -> None:
    """Run the command; an expected error becomes one sentence on stderr and its documented exit code.

    Anything else keeps its traceback, which a bug report needs. Ctrl-C ends quietly with 130 (Typer sees to it).
    """
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SinkError as error:
        message = f"error: {redact_text(str(error))}"
        Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Nobody reads our output any more, as in "sink config | head"; the interpreter must not try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
