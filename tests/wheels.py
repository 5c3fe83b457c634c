"""Builds wheels and runs what is in them, without this repository and without a network."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")


def run(command: Sequence[str | Path], directory: Path, **environment: str) -> str:
    """Run a command with nothing but these variables; it must succeed. Gives what it wrote."""
    ended = subprocess.run(
        command,
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def build(source: Path, directory: Path) -> Path:
    """Build the wheel of a source tree into a directory."""
    arguments = ["--wheel", "--no-build-isolation", "--offline", "--quiet", "--python", sys.executable]
    run([UV, "build", *arguments, "--out-dir", directory, source], directory)
    (wheel,) = directory.glob("*.whl")
    return wheel


def released() -> str | None:
    """Give the commit of the last release; None where a shallow clone does not have it."""
    _, commit = (REPOSITORY / "tests/LAST_RELEASE").read_text().split()
    try:
        found = subprocess.run(
            ["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=REPOSITORY, capture_output=True, check=False
        )
    except FileNotFoundError:
        return None
    return commit if found.returncode == 0 else None


def install_release(directory: Path) -> Path:
    """Build the last release's wheel from its commit, and give the folder to which it was installed."""
    commit, tree, folder = released(), directory / "tree", directory / "installed"
    assert commit is not None, "git does not have the commit of tests/LAST_RELEASE"
    archive = directory / "tree.tar"
    run(["git", "archive", "--output", archive, commit], REPOSITORY)
    with tarfile.open(archive) as opened:
        opened.extractall(tree, filter="data")
    (directory / "dist").mkdir()
    wheel = build(tree, directory / "dist")
    run([UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--target", folder, wheel], directory)
    return folder
