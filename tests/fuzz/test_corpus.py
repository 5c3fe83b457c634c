"""Every input of the corpus, and so every crash ever found, passes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz import engine
from tests.fuzz.engine import corpus_of
from tests.fuzz.targets import TARGETS

FILES = [(target, path) for target in TARGETS for path in corpus_of(target)]


@pytest.mark.parametrize(("target", "path"), FILES, ids=[f"{target}/{path.name}" for target, path in FILES])
def test_an_input_that_was_once_worth_keeping_passes(target: str, path: Path) -> None:
    assert TARGETS[target](path.read_bytes())


def test_the_engine_finds_and_keeps_what_breaks_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CORPUS", tmp_path)
    (tmp_path / "framing").mkdir()
    (tmp_path / "framing" / "seed").write_bytes(b"abc")

    def brittle(data: bytes) -> set[str]:
        assert b"\xff" not in data
        return {"fine"}

    dice = random.Random(1)
    ran = engine.fuzz("framing", brittle, seconds=20, dice=dice, current=tmp_path / "current")

    assert ran.crash is not None
    assert b"\xff" in ran.crash.read_bytes()
    assert "AssertionError" in ran.trace
