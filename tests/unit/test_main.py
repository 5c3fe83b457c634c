"""How the command ends: expected errors, Ctrl-C, closed pipes, and what nobody expected."""

from __future__ import annotations

import pytest
import typer

from sink.__main__ import main
from sink.errors import ConfigError, DefinitionError, SinkError, TransientError


def run(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr("sink.__main__.app", app)
    monkeypatch.setattr("sys.argv", ["sink"])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@pytest.mark.parametrize(
    ("kind", "code"), [(SinkError, 1), (ConfigError, 2), (TransientError, 3), (DefinitionError, 4)]
)
def test_an_expected_error_is_one_sentence_and_its_exit_code(
    kind: type[SinkError], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "no [bold]table[/] at postgresql://u:hunter2@h/db; run: sink migrate " + "x" * 200
    assert run(kind(long), monkeypatch) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {long}\n".replace("hunter2", "***")


def test_ctrl_c_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr() == ("", "")


def test_what_nobody_expected_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.excepthook", None)  # Typer sets one; the fixture puts the old one back
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError("bug"), monkeypatch)
