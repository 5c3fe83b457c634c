"""Kafka market topics into TimescaleDB hypertables: at-least-once delivery, exactly-once data.

Where to find things, top to bottom; imports only go down:

- ``cli``: one file a command, the place where objects are built and wired
- ``stack``: the development servers (Docker or native)
- ``db``: engine and ``session_scope``, every table, the repository, hypertables
- ``settings``: every setting
- ``errors``: the error tree
"""
