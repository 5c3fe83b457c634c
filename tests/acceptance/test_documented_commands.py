"""The commands that README and docs/ have their readers type do run, in their order, on real servers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping

from sink.producing.samples import sample_files
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
    "sink produce BTCUSDT-trades-2026-06.zip --dry-run": (5, "No such file"),
    "sink offsets import trades --from-group connect-trades-jdbc": (2, "has no commits"),
    "sink rewind trades --to 3:120000 --yes": (2, "beyond the log"),
    "sink verify trades --from 3:120000 --partitions 3": (2, "beyond the log"),
    "sink replay trades --from 3:120000 --to 3:130000": (2, "beyond the log"),
    "sink replay trades --resume 5f365469": (2, "no replay 5f365469"),
    "sink quarantine show trades 3:120000": (2, "not in quarantine"),
    "sink quarantine drop trades 3:120000 --reason 'test message'": (2, "not in quarantine"),
    "sink quarantine export trades --topic dead.trades": (4, "topic dead.trades does not exist"),
    "sink trace trades BTCUSDT 2026-06-02T12:00:01Z": (2, "no row of BTCUSDT"),
    "sink trace trades BTCUSDT 2026-06-02T12:00:01Z --key trade_id=42": (2, "no row of BTCUSDT, 42"),
    "sink trace candles_1m ETHUSDT 2026-06-02T12:00Z --json": (2, "no row of ETHUSDT"),
}
"""What the pages' examples come to where no such offset, row or group is: the exit code, and words of the sentence."""


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
    (archive,) = [path for path in sample_files() if path.name == "XRPETH-trades-2019-10.zip"]
    shutil.copy(archive, market.directory)
    # half an hour of a market has a funding only now and then, and with it its schema
    assert market.sink("schemas", "register", SINK_REGISTRY__URL=market.servers.registry_url).returncode == 0
    wrong = []
    for one in filter(here, documented()):
        done = run(market, one)
        code, word = ENDS.get(str(one), (0, ""))
        said = done.stdout + done.stderr
        if done.returncode != code or word not in said or "Traceback" in said:
            wrong.append(f"{one} ({', '.join(one.pages)}) ended with {done.returncode}: {said[-500:]}")
    assert not wrong, "\n".join(wrong)
    assert market.rows("SELECT count(*) > 1000 FROM trades") == [(True,)], (
        "the README's commands have filled the tables"
    )


def test_every_exception_stands_in_a_page() -> None:
    """What no page says any more needs no exception."""
    assert {*ELSEWHERE, *ENDS} <= {str(one) for one in documented()}
