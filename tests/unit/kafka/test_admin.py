"""Topics of a broker that is not there."""

from __future__ import annotations

import pytest

from sink.errors import ConfigError, TransientError
from sink.kafka.admin import Topics, Wanted

TOPIC = Wanted(name="market.trades", partitions=4)


def test_broker_away_is_something_to_wait_for() -> None:
    topics = Topics({"bootstrap.servers": "127.0.0.1:1"}, timeout=0.2)
    for call in (topics.check, topics.apply):
        with pytest.raises(TransientError, match=r"asking 127\.0\.0\.1:1 for its topics failed"):
            call([TOPIC])


def test_wrong_options_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r'librdkafka refuses its options: .*"no\.such\.option"'):
        Topics({"no.such.option": "1"})


def test_topics_delete_by_age_and_leave_the_rest_to_the_broker() -> None:
    assert TOPIC.config == {"cleanup.policy": "delete"}
