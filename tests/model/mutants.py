"""The sink with one rule missing at a time: what the proof must notice, or it proves nothing.

Each mutant has a part without the rule in the place of the real one; the sink itself knows nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.lacking import (
    AllIn,
    Anywhere,
    Credulous,
    Deaf,
    KafkaDecides,
    KeyIsEnough,
    LaterFromItsEnd,
    NeverAgain,
    NoBisection,
    NoRunnerUp,
    OwnWord,
    PlainUpsert,
    PositionApart,
    SilenceIsConsent,
    StartNotStored,
    Unfenced,
    writing,
)
from tests.model.member import Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A rule, what happens without it, and the parts that lack it."""

    name: str
    missing: str
    parts: Parts


MUTANTS = (
    Mutant(
        name="no fence",
        missing="a flush checks neither claim nor position",
        parts=Parts(flusher=Anywhere, pipeline=Deaf),
    ),
    Mutant(name="no token", missing="a flush checks its position but not its claim", parts=Parts(flusher=Unfenced)),
    Mutant(
        name="plain upsert",
        missing="a row gives way to an older version",
        parts=Parts(flusher=writing(PlainUpsert)),
    ),
    Mutant(
        name="key is enough",
        missing="a row that is there already is taken for the same version",
        parts=Parts(flusher=writing(KeyIsEnough)),
    ),
    Mutant(
        name="Kafka decides",
        missing="reading starts at the group's commit, not at the position in the database",
        parts=Parts(flusher=KafkaDecides),
    ),
    Mutant(
        name="no runner-up",
        missing="nothing takes the place of a winner that the database refuses",
        parts=Parts(flusher=writing(NoRunnerUp)),
    ),
    Mutant(
        name="start not stored",
        missing="any lower commit starts a rewind, and the claim does not store the start",
        parts=Parts(flusher=StartNotStored),
    ),
    Mutant(
        name="no claim after a fence",
        missing="a fenced owner that keeps its partition never claims it again",
        parts=Parts(pipeline=NeverAgain),
    ),
    Mutant(
        name="later from its end",
        missing="a partition that was added later starts at its end",
        parts=Parts(consumer=LaterFromItsEnd),
    ),
    Mutant(
        name="position apart",
        missing="the position moves in a transaction of its own",
        parts=Parts(flusher=PositionApart),
    ),
    Mutant(
        name="COMMIT believed",
        missing="a COMMIT that was answered with ROLLBACK counts as done",
        parts=Parts(cursor=Credulous),
    ),
    Mutant(
        name="silence is consent",
        missing="a COMMIT that was not answered counts as done",
        parts=Parts(flusher=SilenceIsConsent),
    ),
    Mutant(
        name="early commit",
        missing="Kafka hears of offsets before they are durable",
        parts=Parts(pipeline=OwnWord),
    ),
    Mutant(
        name="no bisection",
        missing="one refused row takes its whole batch to quarantine",
        parts=Parts(flusher=writing(NoBisection)),
    ),
    Mutant(
        name="all in",
        missing="messages before the position are collected again",
        parts=Parts(collector=AllIn),
    ),
)
