"""The Dockerfile's own steps, run by a shell in folders of this test: what they make is a sink that runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.test_image import ROOT, environment, instructions


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that stands for the image's root, made by the COPY and RUN instructions of the build stage."""
    root = tmp_path_factory.mktemp("image")
    build = root / "build"
    build.mkdir()
    # packages come from uv's cache where they are there; the image has none and wants none
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "VIRTUAL_ENV"))}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    stage = 0
    for word, rest in instructions():
        stage += word == "FROM"
        if stage == 1 and word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(ROOT / source, build / target if target.endswith("/") and target != "./" else build / source)
        elif stage == 1 and word == "RUN" and not rest.startswith("python -m pip install"):  # uv itself is here already
            step = rest.replace("/opt/sink", str(root / "opt/sink")).replace("/usr/local/bin/python3", sys.executable)
            done = subprocess.run(
                ["sh", "-euc", step], cwd=build, env=environ, capture_output=True, text=True, timeout=400, check=False
            )
            assert done.returncode == 0, f"{step}: {done.stderr}"
    return root


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def run(image: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point as the final stage would, in an empty folder, with nothing else in its environment."""
    # bytecode may be kept here: compiled anew, each command would take long
    left_out = {"PATH", "PYTHONDONTWRITEBYTECODE"}
    environ = {name: value for name, value in environment().items() if name not in left_out} | variables
    elsewhere = image / "tmp"
    elsewhere.mkdir(exist_ok=True)
    return subprocess.run(
        [image / "opt/sink/bin/sink", *words],
        cwd=elsewhere,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_image_s_sink_runs_with_the_image_s_settings(image: Path) -> None:
    shown = run(image, "config")
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"^SINK_HTTP__HOST=0\.0\.0\.0  # environment$", shown.stdout, re.MULTILINE)
    assert re.search(r"^SINK_STATE_DIRECTORY=/var/lib/sink  # environment$", shown.stdout, re.MULTILINE)


def test_exactly_what_production_locks_is_installed(image: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    listed = subprocess.run(
        [uv, "pip", "freeze", "--python", image / "opt/sink/bin/python"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    installed = set(re.findall(r"^([a-z0-9-]+)==", listed, re.MULTILINE))
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/production.txt").read_text(), re.MULTILINE))
    assert installed <= locked
    assert {"confluent-kafka", "polars", "psycopg"} <= installed
    assert "kafka-timescale-sink" in listed


def test_the_image_s_tables_are_in_it(image: Path) -> None:
    shown = run(image, "migrate", "--sql")
    assert shown.returncode == 0, shown.stderr
    assert "CREATE TABLE trades" in shown.stdout
