"""The scene of the rolling restart: what counts as wrong, and how alerts and ages are summed up."""

from __future__ import annotations

import pytest

from benchmarks.alarms import Ages, Alarms
from benchmarks.prometheus import Alert
from benchmarks.replica import Restart
from benchmarks.rolling import EXPECTED, Scene

RESTARTS = [Restart(replica=number, stopped=1.0, ready=4.0, code=0) for number in range(2)]


def scene(**changed: object) -> Scene:
    told = {"minutes": 10.0, "rate": 5_000, "sent": 9, "rows": 9, "age": {"largest": 3.0}, "restarts": RESTARTS}
    told |= {"fired_in_outage": {EXPECTED}, "resolved_after": 20.0, "produced": 4_990.0}
    return Scene(**{**told, **changed})  # type: ignore[arg-type] # by name, for each test another


def alert(state: str, dataset: str = "trades") -> Alert:
    return Alert(name="SinkLate", state=state, labels=(("dataset", dataset),))


def test_a_quiet_restart_and_an_outage_that_is_told_are_good() -> None:
    assert scene().wrong == []
    assert scene().as_json()["good"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"produced": 4_700.0}, "only 4,700 messages/s were produced"),
        ({"rows": 8}, "8 rows of 9 messages"),
        ({"rows": 0, "sent": 0}, "0 rows of 0 messages"),
        ({"age": {"largest": 10.0}}, "the newest row was 10.0 s old"),
        ({"age": {}}, "the newest row was -1.0 s old"),
        ({"restarts": RESTARTS[:1]}, "1 of 2 replicas restarted well"),
        ({"restarts": [RESTARTS[0], Restart(replica=1, stopped=60.0, ready=4.0, code=None)]}, "1 of 2 replicas"),
        ({"fired_early": {"SinkLate"}}, "fired without a cause: SinkLate"),
        ({"fired_in_outage": set()}, "the stopped database fired nothing"),
        ({"fired_in_outage": {EXPECTED, "SinkLate"}}, "the stopped database fired SinkDatabaseAway, SinkLate"),
        ({"resolved_after": None}, "the alert did not resolve"),
    ],
)
def test_anything_else_is_told(changed: dict[str, object], sentence: str) -> None:
    (wrong,) = scene(**changed).wrong
    assert wrong.startswith(sentence)


def test_an_alert_is_followed_from_its_first_sign_to_its_end_and_counts_again_when_it_comes_again() -> None:
    alarms = Alarms(phase="load")
    alarms.look([alert("pending")], 1.0)
    alarms.phase = "outage"
    alarms.look([alert("firing"), alert("pending", "funding")], 2.0)
    assert alarms.firing == {"SinkLate"}
    alarms.look([alert("pending", "funding")], 3.0)
    assert alarms.firing == set()
    alarms.look([alert("firing")], 4.0)
    assert [(one.labels["dataset"], one.pending_at, one.firing_at, one.over_at) for one in alarms.seen] == [
        ("trades", 1.0, 2.0, 3.0),
        ("funding", 2.0, None, 4.0),
        ("trades", None, 4.0, None),
    ]
    assert alarms.fired(start=2.0, end=2.5) == {"SinkLate"}
    assert alarms.fired(start=2.5, end=3.5) == set()
    assert [one.phase for one in alarms.seen] == ["load", "outage", "outage"]


def test_ages_are_summed_up_within_a_time() -> None:
    ages = Ages([(1.0, 9.0), (2.0, 0.5), (3.0, 0.1), (4.0, 7.0)])
    assert ages.largest(start=2.0, end=3.0) == 0.5
    assert ages.percentile(0.5, start=1.0, end=4.0) == 0.5
    assert ages.largest(start=5.0, end=6.0) == float("inf")
