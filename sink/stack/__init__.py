"""The development servers: a real broker, registry and database, by Docker or as processes of our own."""

from sink.stack.server import ServerStatus
from sink.stack.stack import Stack
from sink.stack.steps import SilentSteps, Steps

__all__ = ["ServerStatus", "SilentSteps", "Stack", "Steps"]
