"""Writes docs/metrics.md around the metrics themselves, so that the page cannot fall behind the code."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from sink import metrics
from sink.metrics import Explained


def page() -> str:
    """Give the text of docs/metrics.md."""
    around = (files(__package__) / "reference.md").read_text(encoding="utf-8")
    return around.replace("{tables}", "".join(_tables()))


def explained() -> Iterator[Explained]:
    """Give every metric of our own, then those that Prometheus' client adds for the process."""
    for section in metrics.SECTIONS.values():
        yield from section
    yield from _of_the_process()


def _tables() -> Iterator[str]:
    for title, section in {**metrics.SECTIONS, "The process": list(_of_the_process())}.items():
        yield f"\n## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
        for one in section:
            labels = ", ".join(f"`{label}`" for label in one.labels)
            yield f"| `{one.name}` | {one.type} | {labels} | {one.meaning} |\n"


def _of_the_process() -> Iterator[Explained]:
    for family in metrics.REGISTRY.collect():
        if family.name.startswith(("process_", "python_")):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = tuple(sorted({label for sample in family.samples for label in sample.labels}))
            yield Explained(name=name, type=family.type, labels=labels, meaning=family.documentation)
