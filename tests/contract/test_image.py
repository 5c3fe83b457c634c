"""The Dockerfile, as far as it can be read without an engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """Give the instructions with their arguments, comments dropped and continued lines joined."""
    lines = [
        line for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    text = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def final_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def test_every_instruction_is_one_that_an_engine_knows() -> None:
    known = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in instructions()} <= known
    assert instructions()[0][0] == "FROM"


def test_every_base_is_a_slim_image_of_a_named_release() -> None:
    for word, rest in instructions():
        if word == "FROM":
            assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?( AS [a-z]+)?", rest), rest


def test_what_is_copied_exists_and_reaches_the_engine() -> None:
    sent = set((ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines())
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source.rstrip('/')}" in sent, source


def test_it_runs_as_a_numbered_user_that_is_not_root() -> None:
    users = [rest for word, rest in final_stage() if word == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1])


def test_the_sink_itself_is_the_process_that_gets_the_signal() -> None:
    last = dict(final_stage())
    assert json.loads(last["ENTRYPOINT"]) == ["sink"]
    assert last["STOPSIGNAL"] == "SIGTERM"


def test_only_locked_and_hashed_packages_are_installed() -> None:
    for word, rest in instructions():
        for command in rest.split("&&") if word == "RUN" else []:
            if re.search(r"pip install|uv build", command):
                assert "--require-hashes" in command or "--no-deps dist/" in command, command
