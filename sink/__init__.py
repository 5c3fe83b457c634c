"""Kafka market topics into TimescaleDB hypertables: at-least-once delivery, exactly-once data.

Where to find things, top to bottom; imports only go down:

- ``cli``: one file a command, the place where objects are built and wired
- ``quarantine``: kept messages looked at, tried again, handed on
- ``supervisor``: ``sink run``, a pipeline in a thread for each dataset; ``housekeeping``: old chunks and ledger entries
  go, tables are measured; ``replaying``: the same pipeline over a stretch
  of a topic; ``producing``: producer, exchange dumps, simulator; ``inspection``: check, status; ``adoption``: positions
  from elsewhere; ``stack``: the development servers
- ``http``: what a running sink answers: metrics, health, status, a page; it reads the views that ``watch`` publishes
- ``pipeline``: THE loop of one dataset: poll, collect, flush, then commit offsets; ``claims`` takes partitions,
  ``pressure`` holds Kafka back, ``lookout`` notices what Kafka's client does not tell, ``lane`` gives the writer its
  tasks, ``collector`` fills the next batch, ``starts`` asks Kafka where a partition begins, ``assignment`` knows our
  partitions, ``breaker`` stops on rubbish, ``cadence`` says how long a batch fills, ``careful`` outlives messages
  that end the process (``breadcrumb`` remembers them), ``tasks`` is the writer thread
- ``flush``: one batch, one transaction (fence, positions); ``transactions``: what bounds it, and what its errors mean;
  ``write``: its rows (fast path, upsert, bisection)
- ``avro``: framing, registry, encode, decode (reference and columnar); ``kafka``: the only reader, topics
- ``repairs``: what replays and operators change in the ledger
- ``ledger``: positions, flushes, quarantine; ``rows``: check, deduplicate, sort; ``batch``: columns and raw messages
- ``datasets``: DATASETS binds model, schema and topic of each dataset
- ``db``: every table, sessions, the repository, hypertables, migrations
- ``transport`` says which connections are open to others, ``handshake`` why a certificate is refused
- ``observer`` says what of a loop can be heard, ``observed`` counts it, ``totals`` too; ``gauges`` show a ``view`` of a
  dataset, ``lagging`` knows how old what is not read is; ``metrics``: every metric, named and explained once
- ``settings``, ``resources``, ``logs``, ``errors``, ``redaction``: what everything else stands on
"""
