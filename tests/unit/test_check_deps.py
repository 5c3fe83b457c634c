"""What `make check-deps` makes of pip-audit's report."""

from __future__ import annotations

import json

import pytest

from deploy.check_deps import judged


def report(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


GOOD: dict[str, object] = {"name": "httpx", "version": "1", "vulns": []}
BAD: dict[str, object] = {
    "name": "h11",
    "version": "0.1",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.2"], "description": ""}],
}
UNKNOWN: dict[str, object] = {"name": "ours", "skip_reason": "not found"}


def test_what_is_vulnerable_fails_and_is_named_with_its_cure() -> None:
    assert judged(report(GOOD, BAD), "") == (
        1,
        "known vulnerabilities:\n  h11 0.1: PYSEC-1, mended in 0.2",
    )


def test_nothing_known_is_said_with_the_count() -> None:
    assert judged(report(GOOD, GOOD), "") == (0, "no known vulnerabilities in 2 packages")


@pytest.mark.parametrize(
    ("said", "errors", "expected"),
    [
        ("", "Traceback\nConnectionError: no route", "ConnectionError: no route"),
        ("", "", "it said nothing"),
        (report(UNKNOWN), "", "knows none of the packages"),
        (report(GOOD, UNKNOWN), "", "does not know ours; the others have no known vulnerabilities"),
    ],
)
def test_what_could_not_be_asked_is_said_loudly(said: str, errors: str, expected: str) -> None:
    code, sentence = judged(said, errors)
    assert code == 0
    assert sentence.startswith("NOT CHECKED: ")
    assert expected in sentence
