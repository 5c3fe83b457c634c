from __future__ import annotations

from pathlib import Path

import pytest

from sink.errors import ConfigError
from sink.stack import apt

DEBIAN = 'ID=debian\nVERSION_CODENAME=bookworm\nNAME="Debian"\n'


def host(etc: Path, *, release: str = DEBIAN, **files: str) -> Path:
    """Lay out a host's /etc: sources by name, `_` for `.`."""
    (etc / "apt/sources.list.d").mkdir(parents=True)
    (etc / "os-release").write_text(release)
    for name, text in files.items():
        folder = etc / "apt" if name == "sources_list" else etc / "apt/sources.list.d"
        (folder / name.replace("_", ".")).write_text(text)
    return etc


def test_deb822_takes_the_release_itself_and_neither_security_nor_other_vendors(tmp_path: Path) -> None:
    debian = """\
# where it all comes from
Types: deb deb-src
URIs: http://mirror.test/debian http://other.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 URIs: not a field
"""
    security = "Types: deb\nURIs: http://security.test/s\nSuites: bookworm-security\nComponents: main\n"
    vendor = "Types: deb\nURIs: http://vendor.test/x\nSuites: nodistro\nComponents: main\n"
    etc = host(tmp_path, a_sources=vendor, b_sources=f"{security}\n{debian}")
    assert apt.mirror(etc=etc) == "http://mirror.test/debian"


def test_disabled_and_source_only_entries_are_passed_over(tmp_path: Path) -> None:
    entry = "Types: {}\nURIs: http://{}.test/debian\nSuites: bookworm\nComponents: main\nEnabled: {}\n"
    parts = [entry.format("deb", "off", "no"), entry.format("deb-src", "src", "yes"), entry.format("deb", "on", "yes")]
    assert apt.mirror(etc=host(tmp_path, debian_sources="\n".join(parts))) == "http://on.test/debian"


def test_one_line_format_with_options_and_comments(tmp_path: Path) -> None:
    lines = """\
# deb http://commented.test/debian bookworm main
deb-src http://src.test/debian bookworm main
deb http://contrib.test/debian bookworm contrib
deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian bookworm main contrib # the one
"""
    assert apt.mirror(etc=host(tmp_path, sources_list=lines)) == "http://mirror.test/debian"


def test_moving_suite_names_count(tmp_path: Path) -> None:
    etc = host(tmp_path, sources_list="deb http://mirror.test/debian stable main\n")
    assert apt.mirror(etc=etc) == "http://mirror.test/debian"


def test_cloud_images_name_a_file_of_mirrors(tmp_path: Path) -> None:
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("http://near.test/debian\nhttp://far.test/debian\n")
    entry = f"Types: deb\nURIs: mirror+file:{mirrors}\nSuites: bookworm\nComponents: main\n"
    assert apt.mirror(etc=host(tmp_path / "etc", debian_sources=entry)) == "http://near.test/debian"


@pytest.mark.parametrize("release", ["ID=ubuntu\nVERSION_CODENAME=noble\n", ""])
def test_a_host_that_is_not_debian_is_told_how_to_name_a_mirror(tmp_path: Path, release: str) -> None:
    etc = host(tmp_path, release=release, sources_list="deb http://archive.test/ubuntu noble main\n")
    with pytest.raises(ConfigError, match="SINK_STACK_MIRROR=http://HOST/debian"):
        apt.mirror(etc=etc)
    assert apt.mirror(etc=etc, given="http://given.test/debian") == "http://given.test/debian"
