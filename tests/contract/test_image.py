"""The Dockerfile, as far as it can be read without an engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sink.settings import load

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
    known = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "EXPOSE"}
    known |= {"HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
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


def environment() -> dict[str, str]:
    """Give the variables of the final stage."""
    return dict(pair.split("=", 1) for word, rest in final_stage() if word == "ENV" for pair in rest.split())


def test_every_setting_of_the_image_is_one_that_the_sink_knows() -> None:
    settings = {name: value for name, value in environment().items() if name.startswith("SINK_")}
    assert load(settings, directory=ROOT / "deploy").http.host == "0.0.0.0"


def test_the_port_that_is_exposed_is_the_port_that_is_served() -> None:
    assert dict(final_stage())["EXPOSE"] == str(load({}, directory=ROOT / "deploy").http.port)


def test_the_state_survives_where_the_root_file_system_is_read_only() -> None:
    last = final_stage()
    folder = environment()["SINK_STATE_DIRECTORY"]
    owner = next(rest for word, rest in last if word == "USER").partition(":")[0]
    assert any(word == "RUN" and f"-o {owner}" in rest and folder in rest for word, rest in last)


def test_health_is_asked_without_a_shell_by_a_file_that_is_there() -> None:
    _, _, command = dict(final_stage())["HEALTHCHECK"].partition("CMD ")
    script = json.loads(command)[-1]
    assert ("COPY", f"deploy/image/alive.py {script}") in final_stage()
