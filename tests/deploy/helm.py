"""What Helm makes of the chart with some values, found by kind and name."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.fix_capabilities import HELM

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/kafka-timescale-sink"
VALUES = {file.stem: file for file in sorted((Path(__file__).parent / "values").glob("*.yaml"))}
"""The value sets that are rendered."""
OF_KUBERNETES = ("v1", "apps/v1", "batch/v1", "policy/v1", "networking.k8s.io/v1")

Document = dict[str, Any]


class Refused(Exception):
    """Helm ended with an error; what it said is the message."""


def helm(*arguments: str | Path) -> str:
    """Run Helm to its end; raises Refused with what it said."""
    command = [str(HELM), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if ended.returncode:
        raise Refused(ended.stdout + ended.stderr)
    return ended.stdout


def render(*arguments: str | Path, chart: Path = CHART) -> list[Document]:
    """Render the chart as a release ``live`` in the namespace ``market``."""
    text = helm("template", "live", chart, "--namespace", "market", *arguments)
    return [document for document in yaml.safe_load_all(text) if document]


class Rendered:
    """The documents of one value set."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = documents

    def kind(self, *kinds: str) -> list[Document]:
        """Give the documents of some kinds."""
        return [one for one in self.documents if one["kind"] in kinds]

    def one(self, kind: str) -> Document:
        """Give the only document of a kind."""
        (found,) = self.kind(kind)
        return found

    def workloads(self) -> dict[str, Document]:
        """Give the deployments or stateful sets by their dataset."""
        found = self.kind("Deployment", "StatefulSet")
        return {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in found}

    def jobs(self, component: str) -> list[Document]:
        """Give the jobs of a kind: migrate or topics."""
        return [one for one in self.kind("Job") if labels(one)["app.kubernetes.io/component"] == component]

    def pods(self) -> list[tuple[Document, Document]]:
        """Give what makes pods, each with the pods' specification."""
        made = self.kind("Deployment", "StatefulSet", "Job")
        return [(one, one["spec"]["template"]["spec"]) for one in made] + [
            (one, one["spec"]) for one in self.kind("Pod")
        ]


def labels(document: Document) -> Mapping[str, str]:
    """Give an object's labels."""
    found: Mapping[str, str] = document["metadata"]["labels"]
    return found


def annotated(document: Document) -> Mapping[str, str]:
    """Give an object's annotations."""
    found: Mapping[str, str] = document["metadata"].get("annotations", {})
    return found


def environment(pod: Document, *, name: str = "live-0") -> dict[str, str]:
    """Give what the only container of a pod of this name finds in its environment."""
    (container,) = pod["containers"]
    found = {}
    for variable in container["env"]:
        if "valueFrom" in variable:
            assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        value = variable.get("value", name)
        assert isinstance(value, str), variable
        assert variable["name"] not in found, variable
        found[variable["name"]] = value
    return found


def matches(selector: Mapping[str, str], labelled: Mapping[str, str]) -> bool:
    """Say whether labels meet a selector."""
    return selector.items() <= labelled.items()
