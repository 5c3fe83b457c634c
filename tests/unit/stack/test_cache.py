from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sink.errors import ConfigError, TransientError
from sink.stack import downloads
from sink.stack.cache import Cache, locked, stack_extra


def test_a_folder_is_built_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    built = []

    def build(part: Path, lock: int) -> None:
        assert os.get_inheritable(lock) is False
        (part / "jar").write_text("whole")
        built.append(part)

    for _ in range(2):
        assert (cache.folder("kafka", build) / "jar").read_text() == "whole"
    assert len(built) == 1


def test_what_an_interruption_left_is_made_anew(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def interrupted(part: Path, lock: int) -> None:
        del lock
        (part / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.folder("kafka", interrupted)
    assert not (tmp_path / "kafka").exists()
    assert list(cache.folder("kafka", lambda part, _: (part / "whole").touch()).iterdir()) == [tmp_path / "kafka/whole"]


def test_a_program_that_outlives_us_keeps_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path) as lock:
        orphan = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock])
    with path.open() as other, orphan:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        orphan.communicate(b"\n")
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_environment_names_the_cache(tmp_path: Path) -> None:
    assert Cache.of_user({"SINK_STACK_CACHE": str(tmp_path)}).path == tmp_path


def test_a_missing_extra_is_named_with_the_command() -> None:
    with pytest.raises(ConfigError, match=r"needs no_such_module; .* pip install 'kafka-timescale-sink\[stack\]'"):
        stack_extra("no_such_module")


def test_missing_programs_are_named_with_one_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        downloads.require_tools(["java", "mvn", "mmdebstrap"])
    assert str(caught.value).endswith(
        "apt-get install -y --no-install-recommends default-jre-headless maven mmdebstrap"
    )


def program(folder: Path, name: str, script: str) -> None:
    """Put a shell script in the place of a program."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_failed_download_says_its_last_words_and_leaves_nothing_that_looks_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(tmp_path / "bin", "mvn", "echo 'connection refused'; exit 7")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(TransientError, match=r"mvn ended with status 7(.|\n)*it resumes(.|\n)*connection refused"):
        downloads.kafka(Cache(tmp_path / "cache"))
    assert not (tmp_path / f"cache/kafka-{downloads.KAFKA}").exists()


def test_a_registry_with_another_checksum_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = """
for argument; do case $argument in
  -DoutputDirectory=*) echo forged > "${argument#*=}/registry.tar.gz" ;;
  -Dmaven.repo.local=*) mkdir -p "${argument#*=}" ;;
esac; done"""
    program(tmp_path / "bin", "mvn", fake)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(TransientError, match=r"registry\.tar\.gz has sha256 .* and should have 3cda1b34"):
        downloads.apicurio(Cache(tmp_path / "cache"))
    assert not (tmp_path / f"cache/apicurio-{downloads.APICURIO}").exists()
