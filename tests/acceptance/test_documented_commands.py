"""The commands that README and docs/ have their readers type do run, in their order, on real servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from tests.documented import ROOT, Documented, documented
from tests.fix_sink import Market, clean_environment

ELSEWHERE = {
    "sink stack up": "the session's servers are up; tests/integration/test_stack.py starts some of its own",
    "sink topics apply liquidations": "tests/acceptance/test_schema_page.py follows the page",
    "sink run liquidations --until-caught-up": "as above",
    "alembic revision --autogenerate -m 'add liquidations table'": "as above",
}
"""Commands that other tests run."""

CONFIRMED = {"sink rewind", "sink offsets import"}
"""Commands that ask before they act; here nobody can answer, so they get ``--yes``."""

ENDS: Mapping[str, tuple[int, str]] = {
    "sink rewind trades --to 3:120000": (2, "offset"),
    "sink quarantine show trades 3:120000": (2, "3:120000"),
    "sink trace trades BTCUSDT 2026-06-02T12:00:01Z": (2, "BTCUSDT"),
    "sink offsets import trades --from-group connect-trades": (2, "connect-trades"),
}
"""What the pages' examples come to where no such offset, row or group is: the exit code, and a word of the sentence."""


def here(one: Documented) -> bool:
    return one.typed and one.words[0] in {"sink", "alembic"} and str(one) not in ELSEWHERE


def run(market: Market, one: Documented) -> subprocess.CompletedProcess[str]:
    if one.words[0] == "alembic":
        environment = {**clean_environment(), "DATABASE_URL": market.administrator_url}
        return subprocess.run(
            [sys.executable, "-m", *one.words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    confirmed = any(str(one).startswith(command) for command in CONFIRMED)
    return market.sink(
        *one.words[1:], *(["--yes"] if confirmed else []), SINK_REGISTRY__URL=market.servers.registry_url
    )


def test_what_the_pages_have_typed_runs(market: Market) -> None:
    for one in filter(here, documented()):
        done = run(market, one)
        code, word = ENDS.get(str(one), (0, ""))
        told = f"{one}, in {', '.join(one.pages)}: {done.stdout}{done.stderr}"
        assert done.returncode == code, told
        assert word in done.stdout + done.stderr, told
        assert "Traceback" not in done.stderr, told
    assert market.rows("SELECT count(*) > 1000 FROM trades") == [(True,)], (
        "the README's commands have filled the tables"
    )


def test_every_exception_stands_in_a_page() -> None:
    """What no page says any more needs no exception."""
    assert {*ELSEWHERE, *ENDS} <= {str(one) for one in documented()}
