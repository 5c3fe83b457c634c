"""What the Helm chart renders is valid for Kubernetes, safe, and what the sink itself takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it carries no types
import pytest
import yaml
from typer.testing import CliRunner

from deploy.helm import build
from sink.cli import app, wiring
from sink.cli.stopping import HARD_EXIT_AFTER
from sink.datasets import DATASETS
from sink.errors import ConfigError
from sink.settings import Settings, explain, load
from tests.deploy.helm import (
    CHART,
    OF_KUBERNETES,
    ROOT,
    VALUES,
    Document,
    Refused,
    Rendered,
    annotated,
    environment,
    helm,
    labels,
    matches,
    render,
)

pytestmark = pytest.mark.needs_helm

CLUSTERS = ("1.25.0", "1.34.0", "1.37.0")
"""The oldest that the chart accepts, the newest whose objects can be checked, and one between."""


@cache
def rendered(values: str) -> Rendered:
    return Rendered(render("--values", VALUES[values]))


every_set = pytest.mark.parametrize("values", VALUES)


@every_set
def test_the_chart_is_clean(values: str) -> None:
    helm("lint", "--strict", CHART, "--values", VALUES[values])


@pytest.mark.parametrize("cluster", CLUSTERS)
@every_set
def test_kubernetes_knows_every_object_and_every_field(values: str, cluster: str) -> None:
    documents = render("--values", VALUES[values], "--kube-version", cluster)
    known = [one for one in documents if one["apiVersion"] in OF_KUBERNETES]
    assert {one["kind"] for one in documents} - {one["kind"] for one in known} <= {
        "ServiceMonitor",
        "PodMonitor",
        "PrometheusRule",
        "ScaledObject",
        "TriggerAuthentication",
    }
    for document in known:
        kubernetes_validate.validate(document, cluster, strict=True)


@every_set
def test_every_object_is_named_once_within_its_limits_and_belongs_to_the_release(values: str) -> None:
    documents = rendered(values).documents
    names = [(one["kind"], one["metadata"]["name"]) for one in documents]
    assert len(set(names)) == len(names)
    # a pod's name is its workload's and up to 17 characters more
    assert max(len(name) for _, name in names) <= 63 - 17
    assert {one["metadata"]["namespace"] for one in documents} == {"market"}
    assert all(labels(one)["app.kubernetes.io/instance"] == "live" for one in documents)


def test_the_longest_names_still_fit() -> None:
    long = "release-of-a-team-that-likes-long-names-very-much"[:53]
    text = helm("template", long, CHART, "--values", VALUES["everything"])
    assert max(len(one["metadata"]["name"]) for one in yaml.safe_load_all(text) if one) <= 63


@every_set
def test_each_dataset_has_pods_of_its_own_and_everything_finds_them(values: str) -> None:
    chart = rendered(values)
    workloads = chart.workloads()
    assert set(workloads) == set(DATASETS) - ({"funding"} if values == "everything" else set())
    for dataset, one in workloads.items():
        assert one["spec"]["template"]["spec"]["containers"][0]["args"] == ["run", dataset]
    pods = {dataset: one["spec"]["template"]["metadata"]["labels"] for dataset, one in workloads.items()}
    jobs = [one["spec"]["template"]["metadata"]["labels"] for one in chart.kind("Job")] + [
        labels(one) for one in chart.kind("Pod")
    ]
    for dataset, one in workloads.items():
        selector = one["spec"]["selector"]["matchLabels"]
        assert [name for name, found in pods.items() if matches(selector, found)] == [dataset]
        assert not any(matches(selector, job) for job in jobs)
        for constraint in one["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            assert constraint["labelSelector"]["matchLabels"] == selector
    service = chart.one("Service")
    assert all(matches(service["spec"]["selector"], found) for found in pods.values())
    assert not any(matches(service["spec"]["selector"], job) for job in jobs)
    for monitor in chart.kind("ServiceMonitor"):
        assert matches(monitor["spec"]["selector"]["matchLabels"], labels(service))
    for monitor in chart.kind("PodMonitor"):
        assert all(matches(monitor["spec"]["selector"]["matchLabels"], found) for found in pods.values())
        assert not any(matches(monitor["spec"]["selector"]["matchLabels"], job) for job in jobs)
    for policy in chart.kind("NetworkPolicy"):
        assert all(matches(policy["spec"]["podSelector"]["matchLabels"], found) for found in [*pods.values(), *jobs])


@every_set
def test_a_disruption_takes_one_replica_of_a_dataset_at_a_time(values: str) -> None:
    budgets = {
        labels(one)["app.kubernetes.io/component"]: one["spec"] for one in rendered(values).kind("PodDisruptionBudget")
    }
    expected = {} if values == "static" else rendered(values).workloads()
    assert set(budgets) == set(expected)
    for dataset, budget in budgets.items():
        assert budget["maxUnavailable"] == 1
        assert budget["selector"] == expected[dataset]["spec"]["selector"]


@every_set
def test_every_pod_keeps_to_the_restricted_standard(values: str) -> None:
    for maker, pod in rendered(values).pods():
        assert pod["automountServiceAccountToken"] is False, maker["metadata"]["name"]
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 10_000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all(not {"hostPath"} & set(volume) for volume in pod["volumes"])
        for container in pod["containers"]:
            confined = container["securityContext"]
            assert confined["allowPrivilegeEscalation"] is False
            assert confined["readOnlyRootFilesystem"] is True
            assert confined["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}


def test_the_example_of_the_page_is_right(tmp_path: Path) -> None:
    page = (ROOT / "docs/deploying.md").read_text()
    (example,) = re.findall(r"^```yaml\n# sink.yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    values = tmp_path / "sink.yaml"
    values.write_text(example)
    chart = Rendered(render("--values", values))
    replicas = {dataset: one["spec"]["replicas"] for dataset, one in chart.workloads().items()}
    assert replicas == {"candles_1m": 3, "trades": 6, "oi_snapshots": 3, "funding": 1}
    settings = settings_of(chart.workloads()["trades"]["spec"]["template"]["spec"], tmp_path)
    assert settings.batch.max_age == 0.25
    assert {one["kind"] for one in chart.documents} >= {"ServiceMonitor", "PrometheusRule", "ConfigMap"}


def settings_of(pod: Document, directory: Path) -> Settings:
    """Load a pod's environment as the sink would, with the files that its volumes would hold."""
    variables = environment(pod)
    mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    held = yaml.safe_load(VALUES["everything"].read_text())["secrets"]["values"]
    for name, value in variables.items():
        if value.startswith("/") and not name.endswith("_DIRECTORY"):
            assert any(value.startswith(f"{mount}/") for mount in mounts), f"{name}: nothing is mounted at {value}"
            file = directory / value.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(held.get(file.name, "postgresql://writer@database/market"))
            variables[name] = str(file)
    # a name that Kubernetes might have made for a service is overlooked, not refused
    told = {row.variable for row in explain(variables, directory=directory) if row.source != "default"}
    assert told == {name.removesuffix("_FILE") for name in variables if name.startswith(("SINK_", "DATABASE_"))}
    return load(variables, directory=directory, datasets=DATASETS)


@every_set
def test_the_sink_takes_every_variable_of_every_pod(values: str, tmp_path: Path) -> None:
    for _, pod in rendered(values).pods():
        settings = settings_of(pod, tmp_path)
        assert settings.http.host == "0.0.0.0"
        assert settings.http.port == 8080
        assert settings.state_directory == Path("/var/lib/sink")
        state = next(one for one in pod["volumes"] if one["name"] == "state")
        assert "emptyDir" in state


def test_what_was_set_is_in_force_for_all_datasets_or_one(tmp_path: Path) -> None:
    workloads = rendered("everything").workloads()
    trades, candles = (
        settings_of(workloads[name]["spec"]["template"]["spec"], tmp_path) for name in ("trades", "candles_1m")
    )
    assert trades.batch.max_age == 0.25
    assert candles.batch.max_age == 0.5
    assert candles.batch.max_bytes == 16 * 1024**2
    assert candles.kafka["queued.max.messages.kbytes"] == "16384"
    assert candles.allow_insecure_registry is True
    assert candles.clock == {"oi_snapshots": "field"}
    assert candles.kafka["sasl.password"] == "marked-password"
    assert "sink_writer:marked-writer" in candles.database_url.get_secret_value()


def test_every_call_of_the_sink_is_one_that_it_understands() -> None:
    calls = [pod["containers"][0]["args"] for values in VALUES for _, pod in rendered(values).pods()]
    assert ["topics", "apply", "trades", "--partitions", "24"] in [call[:5] for call in calls]
    for call in calls:
        asked = CliRunner().invoke(app, [*call, "--help"])
        assert asked.exit_code == 0, (call, asked.output)
    assert CliRunner().invoke(app, [*calls[0], "--misspelt", "--help"]).exit_code == ConfigError.exit_code


def test_no_secret_stands_outside_a_secret() -> None:
    chart = rendered("everything")
    for one in chart.documents:
        assert one["kind"] == "Secret" or "marked-" not in yaml.safe_dump(one), one["metadata"]["name"]
    for _, pod in chart.pods():
        assert "envFrom" not in pod["containers"][0]
        assert environment(pod)["DATABASE_URL_FILE"].startswith("/run/secrets/sink/")


@pytest.mark.parametrize("place", ["values", "keys"])
def test_the_replicas_never_see_the_login_of_the_migration(place: str) -> None:
    arguments = [] if place == "values" else [
        *("--set-json", "secrets.values={}", "--set", "secrets.existingSecret=mine"),
        *("--set", "secrets.keys.DATABASE_URL=w,secrets.keys.MIGRATOR_DATABASE_URL=m"),
        *("--set", "secrets.keys.SINK_KAFKA__SASL_USERNAME=u,secrets.keys.SINK_KAFKA__SASL_PASSWORD=p"),
    ]  # fmt: skip
    chart = Rendered(render("--values", VALUES["everything"], *arguments))
    for maker, pod in chart.pods():
        (secrets,) = [one["secret"] for one in pod["volumes"] if one["name"] == "secrets"]
        migrates = labels(maker)["app.kubernetes.io/component"] == "migrate"
        assert ("MIGRATOR_DATABASE_URL" in {item["path"] for item in secrets["items"]}) == migrates
        assert environment(pod)["DATABASE_URL_FILE"].endswith("/MIGRATOR_DATABASE_URL") == migrates


@every_set
def test_a_pod_that_stops_has_time_to_flush_and_to_leave(values: str, tmp_path: Path) -> None:
    for dataset, one in rendered(values).workloads().items():
        pod = one["spec"]["template"]["spec"]
        before = 0
        if values != "static":
            command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
            assert command[:2] == ["python", "-c"]
            compile(command[2], dataset, "exec")
            before = 5
        needed = before + settings_of(pod, tmp_path).shutdown_timeout + HARD_EXIT_AFTER
        assert needed < pod["terminationGracePeriodSeconds"] <= needed + 10


def test_the_hook_before_the_term_is_as_long_as_it_says() -> None:
    chart = Rendered(render("--values", VALUES["minimal"], "--set", "preStopSeconds=1"))
    pod = chart.workloads()["trades"]["spec"]["template"]["spec"]
    script = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][2]
    assert script == "import time; time.sleep(1)"
    assert pod["terminationGracePeriodSeconds"] == 41


@every_set
def test_probes_ask_what_the_sink_serves(values: str) -> None:
    for one in rendered(values).workloads().values():
        (container,) = one["spec"]["template"]["spec"]["containers"]
        (port,) = container["ports"]
        assert port == {"name": "http", "containerPort": 8080}
        asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        assert asked == {
            "startup": {"path": "/livez", "port": "http"},
            "liveness": {"path": "/livez", "port": "http"},
            "readiness": {"path": "/readyz", "port": "http"},
        }


def test_the_tables_are_made_before_anything_runs_and_with_nothing_that_is_not_there_yet() -> None:
    chart = rendered("everything")
    (migrate,) = chart.jobs("migrate")
    hooks = [one for one in chart.documents if "helm.sh/hook" in annotated(one) and one["kind"] != "Pod"]
    weights = {
        one["kind"]: int(annotated(one)["helm.sh/hook-weight"]) for one in hooks if one not in chart.jobs("topics")
    }
    assert weights["Secret"] < weights["Job"]
    assert all(int(annotated(one)["helm.sh/hook-weight"]) > weights["Job"] for one in chart.jobs("topics"))
    assert all(annotated(one)["helm.sh/hook"] == "pre-install,pre-upgrade" for one in hooks)
    made = {one["metadata"]["name"] for one in hooks}
    for job in hooks:
        if job["kind"] == "Job":
            pod = job["spec"]["template"]["spec"]
            assert pod["serviceAccountName"] == "default"
            (secrets,) = [one["secret"]["secretName"] for one in pod["volumes"] if one["name"] == "secrets"]
            assert secrets in made
    assert migrate["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]
    assert len(chart.jobs("topics")) == 3
    assert rendered("minimal").jobs("topics") == []
    assert rendered("static").kind("Job") == []


def test_static_members_are_named_by_their_pods(tmp_path: Path) -> None:
    chart = rendered("static")
    service = chart.one("Service")
    assert service["spec"]["clusterIP"] == "None"
    for one in chart.workloads().values():
        assert one["kind"] == "StatefulSet"
        assert one["spec"]["serviceName"] == service["metadata"]["name"]
        pod = one["spec"]["template"]["spec"]
        assert environment(pod, name="live-trades-1")["SINK_KAFKA__GROUP_INSTANCE_ID"] == "live-trades-1"
        assert settings_of(pod, tmp_path).kafka["group.instance.id"] == "live-0"
    for values in ("minimal", "everything"):
        for one in rendered(values).workloads().values():
            assert one["kind"] == "Deployment"
            assert one["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
            assert "SINK_KAFKA__GROUP_INSTANCE_ID" not in environment(one["spec"]["template"]["spec"])


@pytest.mark.parametrize("values", ["everything", "static"])
def test_keda_scales_what_is_there_on_the_lag_of_the_group_that_the_sink_joins(values: str, tmp_path: Path) -> None:
    chart = rendered(values)
    scaled = {labels(one)["app.kubernetes.io/component"]: one["spec"] for one in chart.kind("ScaledObject")}
    workloads = chart.workloads()
    assert set(scaled) == set(workloads)
    for dataset, one in workloads.items():
        spec = scaled[dataset]
        assert "replicas" not in one["spec"], "every upgrade would set back what KEDA has scaled"
        assert spec["scaleTargetRef"] == {
            "apiVersion": one["apiVersion"],
            "kind": one["kind"],
            "name": one["metadata"]["name"],
        }
        assert spec["minReplicaCount"] == 1
        assert spec["maxReplicaCount"] == (24 if (values, dataset) == ("everything", "trades") else 4)
        settings = settings_of(one["spec"]["template"]["spec"], tmp_path)
        source = wiring.source_of(DATASETS[dataset], settings)
        (trigger,) = spec["triggers"]
        assert set(trigger) == {"type", "metadata", "authenticationRef"}
        assert trigger["type"] == "kafka"
        told = trigger["metadata"]
        assert all(isinstance(value, str) for value in told.values()), "KEDA takes nothing but text"
        assert (told["consumerGroup"], told["topic"]) == (source.sink_id, source.topic)
        assert told["bootstrapServers"] == settings.kafka["bootstrap.servers"]
        assert told["limitToPartitionsWithLag"] == "true"
        assert told["allowIdleConsumers"] == "false", "KEDA refuses it beside limitToPartitionsWithLag"
        assert told["offsetResetPolicy"] == settings.initial_offset
        assert int(told["lagThreshold"]) == 50_000
        secured = values == "everything"
        assert told.get("sasl") == ("scram_sha512" if secured else None)
        assert told.get("tls") == ("enable" if secured else None)


def test_keda_logs_in_with_the_same_secret() -> None:
    chart = rendered("everything")
    authentication = chart.one("TriggerAuthentication")
    for one in chart.kind("ScaledObject"):
        assert one["spec"]["triggers"][0]["authenticationRef"] == {"name": authentication["metadata"]["name"]}
    secrets = {one["metadata"]["name"]: one["stringData"] for one in chart.kind("Secret")}
    found = {one["parameter"]: secrets[one["name"]][one["key"]] for one in authentication["spec"]["secretTargetRef"]}
    assert found == {"username": "marked-user", "password": "marked-password"}


@pytest.mark.parametrize(("values", "kind", "endpoints"), [
    ("everything", "ServiceMonitor", "endpoints"),
    ("static", "PodMonitor", "podMetricsEndpoints"),
])  # fmt: skip
def test_every_replica_is_scraped_and_the_release_is_the_job(values: str, kind: str, endpoints: str) -> None:
    chart = rendered(values)
    spec = chart.one(kind)["spec"]
    assert set(spec) == {"selector", endpoints}
    (endpoint,) = spec[endpoints]
    (port,) = chart.one("Service")["spec"]["ports"]
    assert endpoint["port"] == port["name"] == port["targetPort"] == "http"
    assert endpoint["path"] == "/metrics"
    assert endpoint["relabelings"] == [
        {"action": "replace", "targetLabel": "job", "replacement": "market/live-kafka-timescale-sink"}
    ]
    assert chart.one("Service")["spec"]["publishNotReadyAddresses"] is True


def test_the_rules_are_those_of_the_repository_and_prometheus_takes_them(tmp_path: Path) -> None:
    rule = rendered("everything").one("PrometheusRule")
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    if (promtool := shutil.which("promtool")) is not None:
        subprocess.run([promtool, "check", "rules", str(file)], check=True, capture_output=True, timeout=60)


def test_every_dashboard_travels_as_it_is() -> None:
    maps = rendered("everything").kind("ConfigMap")
    found = {name: text for one in maps for name, text in one["data"].items()}
    boards = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
    assert boards
    assert found == {f"sink-{board.name}": board.read_text() for board in boards}
    for one in maps:
        assert labels(one)["grafana_dashboard"] == "1"
        assert annotated(one) == {"grafana_folder": "Sink"}
        assert len(yaml.safe_dump(one)) < 1_000_000, "etcd takes no object above 1 MiB"


def test_a_package_of_the_chart_is_complete(tmp_path: Path) -> None:
    helm("package", CHART, "--destination", tmp_path)
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
        rules = archive.extractfile("kafka-timescale-sink/files/rules.yml")
        assert rules is not None
        assert rules.read() == (ROOT / "deploy/prometheus/rules.yml").read_bytes()
    assert {f"files/dashboards/{board.name}" for board in (ROOT / "deploy/grafana/dashboards").glob("*.json")} <= names
    assert not any(name.endswith(".py") for name in names)


REFUSED: dict[str, tuple[list[str], str]] = {
    "a misspelt value": (["--set", "replcas=2"], "additional properties 'replcas' not allowed"),
    "a misspelt setting": (
        ["--set", "settings.SINK_BATCH__MAX_ROW=5"],
        "at '/settings': additional properties 'SINK_BATCH__MAX_ROW' not allowed",
    ),
    "a setting beyond its limits": (
        ["--set", "settings.SINK_BATCH__MAX_ROWS=0"],
        "at '/settings/SINK_BATCH__MAX_ROWS': minimum: got 0, want 1",
    ),
    "a setting of another type": (
        ["--set-string", "settings.SINK_BATCH__MAX_ROWS=many"],
        "at '/settings/SINK_BATCH__MAX_ROWS': got string, want integer",
    ),
    "a setting that is none of the choices": (
        ["--set", "settings.SINK_ON_DATA_LOSS=ignore"],
        "at '/settings/SINK_ON_DATA_LOSS': value must be one of 'halt', 'skip'",
    ),
    "a secret in the open": (
        ["--set", "settings.DATABASE_URL=postgresql://x"],
        "at '/settings/DATABASE_URL': value must be '(a secret: it belongs under secrets)'",
    ),
    "a secret of Kafka's in the open": (
        ["--set", "datasets.trades.settings.SINK_KAFKA__SASL_PASSWORD=x"],
        "value must be '(a secret: it belongs under secrets)'",
    ),
    "an option that the sink owns": (
        ["--set", "settings.SINK_KAFKA__GROUP_ID=x"],
        "each dataset has its own group; set SINK_GROUP_PREFIX",
    ),
    "a setting that the chart sets": (["--set", "settings.SINK_HTTP__PORT=1"], "set by the chart: 8080"),
    "a dataset that does not exist": (
        ["--set", "datasets.tradez.replicas=1"],
        "at '/datasets': additional properties 'tradez' not allowed",
    ),
    "a secret that does not exist": (["--set", "secrets.keys.SINK_PASSWORD=x"], "invalid propertyName 'SINK_PASSWORD'"),
    "no brokers": (
        ["--set", "settings.SINK_KAFKA__BOOTSTRAP_SERVERS="],
        "settings.SINK_KAFKA__BOOTSTRAP_SERVERS is missing: name the brokers",
    ),
    "no database": (["--set", "secrets.existingSecret="], "the database's URL is missing: name a Secret that holds it"),
    "two sources of secrets": (
        ["--set", "secrets.values.DATABASE_URL=postgresql://x"],
        "secrets.existingSecret and secrets.values are both given",
    ),
    "replicas that would be idle": (
        ["--set", "datasets.trades.replicas=9"],
        "trades has 9 replicas for 4 partitions, so that 5 of them would be idle",
    ),
    "nothing to run": (
        [f"--set=datasets.{name}.enabled=false" for name in DATASETS],
        "every dataset is disabled",
    ),
    "everything scraped twice": (
        ["--set", "monitoring.podMonitor.enabled=true,monitoring.serviceMonitor.enabled=true"],
        "both enabled, so that everything would be scraped twice",
    ),
    "autoscaling without Kafka's login": (
        ["--set", "autoscaling.enabled=true,settings.SINK_KAFKA__SECURITY_PROTOCOL=SASL_SSL"],
        "autoscaling asks Kafka itself and needs a login",
    ),
    "a login that KEDA does not know": (
        [
            *("--set", "autoscaling.enabled=true,settings.SINK_KAFKA__SECURITY_PROTOCOL=SASL_SSL"),
            *("--set", "autoscaling.authenticationRef.name=x,settings.SINK_KAFKA__SASL_MECHANISM=MAGIC"),
        ],
        'settings.SINK_KAFKA__SASL_MECHANISM is "MAGIC": KEDA knows',
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_before_anything_is_installed(case: str) -> None:
    arguments, sentence = REFUSED[case]
    with pytest.raises(Refused) as refusal:
        render("--values", VALUES["minimal"], *arguments)
    assert sentence in str(refusal.value)


def test_the_defaults_alone_say_what_is_missing() -> None:
    with pytest.raises(Refused, match="BOOTSTRAP_SERVERS is missing"):
        render()


def notes(values: str, directory: Path) -> str:
    """Give what is printed after an install; `helm template` leaves it out, so a copy of the chart renders it."""
    shutil.copytree(CHART, directory / "chart")
    text = (directory / "chart/templates/NOTES.txt").read_text()
    wrapped = f'{{{{- define "notes" -}}}}\n{text}{{{{- end -}}}}\nnotes: |\n{{{{ include "notes" . | indent 2 }}}}\n'
    (directory / "chart/templates/notes.yaml").write_text(wrapped)
    (shown,) = render(
        *("--values", VALUES[values], "--show-only", "templates/notes.yaml"), chart=directory / "chart"
    )  # fmt: skip
    found: str = shown["notes"]
    return found


@every_set
def test_what_to_do_next_is_told_with_commands_that_fit(values: str, tmp_path: Path) -> None:
    said = notes(values, tmp_path)
    chart = rendered(values)
    service = chart.one("Service")["metadata"]["name"]
    assert "helm test live --namespace market" in said
    assert f"port-forward service/{service} 8080" in said
    first = next(iter(chart.workloads().values()))
    assert f"{first['kind'].lower()}/{first['metadata']['name']} -- sink status --once" in said
    assert ("run `sink migrate`" in said) == (values == "static")
    assert ("For production make a Secret" in said) == (values == "everything")
    assert ("Nobody scrapes" in said) == (values == "minimal")


def test_schema_and_readme_are_what_the_code_says() -> None:
    assert build.schema() == yaml.safe_load((CHART / "values.schema.json").read_text())
    assert (CHART / "README.md").read_text() == build.readme()


def described(node: dict[str, Any]) -> set[str]:
    return set(node.get("properties", {}))


def test_every_default_is_described_and_every_description_has_a_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    whole = build.schema()
    assert described(whole) == {*values, "global"}
    for name, value in values.items():
        inner = whole["properties"][name]
        if "properties" in inner and name != "datasets":
            assert described(inner) == set(value), name


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{chart["appVersion"]}"' in project
    assert chart["version"].replace("-", ".") == chart["appVersion"]
