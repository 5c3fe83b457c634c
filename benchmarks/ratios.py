"""The one line at the end of a run: this sink against each other system, in rows a second."""

from __future__ import annotations

from benchmarks import statistics
from benchmarks.results import Result

OURS = "sink"


def line(result: Result) -> str:
    """Compare the medians of the rounds that count, with intervals where there is more than one round."""
    parts = []
    for workload in result.workloads:
        for phase in ("load", "replay"):
            ours = result.figures(OURS, workload, phase, "rows_per_second")
            if not ours:
                continue
            found = []
            for system in result.systems:
                theirs = result.figures(system, workload, phase, "rows_per_second")
                if system != OURS and theirs:
                    ratio = statistics.of_ratio(ours, theirs)
                    found.append(f"{ratio.median:.2f} x {system} [{ratio.low:.2f}-{ratio.high:.2f}]")
            if found:
                parts.append(f"{workload} {phase}: {', '.join(found)}")
    return "; ".join(parts) or "nothing to compare"
