"""Measures the sink against its peers, against what a user would write instead, and against the limit.

``python -m benchmarks --help`` says how. Where to find things:

- ``__main__``: the commands; ``plan``: which workloads exist; ``run``: rounds, in which the systems take turns
- ``generator``: the rows of a workload, as messages and as the text that the table must hold at the end
- ``world``: servers, topics and databases of a run; ``trial``: one system does one workload; ``stream``: latency
- ``systems``: how each system is prepared and started; ``systems/programs``: the processes that are not the sink
- ``processes``: a system's processes; ``measure``: CPU, memory, steal; ``watch``: what the writers' backends do;
  ``observer``: when rows become readable; ``compare``: table against generator
- ``machine``: what it ran on; ``statistics``: medians and intervals; ``results``: the JSON of a run;
  ``ratios``: the line at its end
- ``report`` and ``plots``: docs/performance.md from that JSON
"""
