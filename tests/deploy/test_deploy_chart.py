"""The Helm chart, as Helm rendered it: it is of this chart, and asks for nothing that Freddy does not have."""

import shutil
import tomllib
from collections.abc import Iterator
from typing import Any

import chart_rendering
import pytest
import yaml
from chart_rendering import CASES, CHART, RENDERED, digest, kept, made
from deployed import ROOT, accepted, check_variables, routes

from freddy.server import config
from freddy.server.http.apart import _HEALTH, _PATH
from freddy.server.serving import _DELIVERY_SECONDS

Json = dict[str, Any]
LISTENS = {"freddy-api": "FREDDY_PORT", "freddy-worker": "FREDDY_METRICS_PORT"}
"""What says on which port a process answers probes."""


def of_kind(case: str, kind: str) -> dict[str, Json]:
    """By their names."""
    return {one["metadata"]["name"]: one for one in kept(case) if one["kind"] == kind}


def pods(case: str) -> dict[str, Json]:
    """The pod that each Deployment and Job makes."""
    made = of_kind(case, "Deployment") | of_kind(case, "Job")
    return {name: one["spec"]["template"] for name, one in made.items()}


def container(pod: Json) -> Json:
    (found,) = pod["spec"]["containers"]
    return found


def variables(pod: Json) -> dict[str, Any]:
    """Where it is not written in the chart, the place that it comes from."""
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container(pod)["env"]}


def each_pod() -> Iterator[Any]:
    for case in CASES:
        for name in pods(case):
            yield pytest.param(pods(case)[name], id=f"{case}-{name}")


def test_what_helm_rendered_is_of_this_chart():
    assert (RENDERED / "digest").read_text().strip() == digest(), chart_rendering.__doc__


@pytest.mark.skipif(shutil.which("helm") is None, reason="there is no helm on the path")
@pytest.mark.parametrize("case", CASES)
def test_helm_renders_the_same_again(case):
    assert made(case) == kept(case)


def test_every_template_and_every_value_is_used_by_some_case():
    kinds = {one["kind"] for case in CASES for one in kept(case)}
    assert kinds == {
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    }
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for case in CASES.values():
        assert case.keys() <= values.keys()
        for name, value in case.items():
            if isinstance(value, dict) and values[name]:
                assert value.keys() <= values[name].keys(), name
    templates = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    for name, value in values.items():
        inner = [f".Values.{name}.{key}" for key in value] if isinstance(value, dict) else [f".Values.{name}"]
        assert [one for one in inner if one not in templates] == []


@pytest.mark.parametrize("pod", [*each_pod()])
def test_a_pod_has_a_command_line_and_variables_that_freddy_knows(pod):
    accepted(container(pod)["args"])
    check_variables(variables(pod))
    assert pod["spec"]["enableServiceLinks"] is False, "a Service called freddy would set FREDDY_PORT to an address"


@pytest.mark.parametrize("pod", [*each_pod()])
def test_a_pod_may_do_nothing_that_it_need_not(pod):
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    security = container(pod)["securityContext"]
    assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
    assert security["capabilities"] == {"drop": ["ALL"]}
    home = variables(pod)["FREDDY_HOME"]
    assert home in [mount["mountPath"] for mount in container(pod)["volumeMounts"]]


@pytest.mark.parametrize("case", CASES)
def test_the_probes_ask_paths_that_answer_without_a_key(case):
    for name, setting in LISTENS.items():
        if pod := pods(case).get(name):
            asked = container(pod)
            (port,) = asked["ports"]
            assert (port["name"], str(port["containerPort"])) == ("http", variables(pod)[setting])
            assert variables(pod)["FREDDY_HOST"] == "0.0.0.0"
            probes = [asked[f"{one}Probe"]["httpGet"] for one in ("startup", "readiness", "liveness")]
            assert {probe["port"] for probe in probes} == {"http"}
            assert [probe["path"] for probe in probes] == ["/health/live", "/health/ready", "/health/live"]
            assert {probe["path"] for probe in probes} <= routes() & {*_HEALTH}


@pytest.mark.parametrize("case", CASES)
def test_prometheus_is_told_where_the_counts_are(case):
    wanted = case not in ("small", "apart")
    for name, setting in LISTENS.items():
        if pod := pods(case).get(name):
            told = pod["metadata"]["annotations"]
            expected = {"scrape": "true", "port": variables(pod)[setting], "path": _PATH} if wanted else {}
            assert {one: told[f"prometheus.io/{one}"] for one in expected} == expected
            assert [one for one in told if one.startswith("prometheus.io/")] == [f"prometheus.io/{o}" for o in expected]


@pytest.mark.parametrize("case", CASES)
def test_a_pod_is_given_the_time_that_a_stop_takes(case):
    for name in ("freddy-api", "freddy-worker"):
        if pod := pods(case).get(name):
            grace = float(variables(pod)["FREDDY_SHUTDOWN_SECONDS"]) + _DELIVERY_SECONDS
            before = container(pod).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            assert pod["spec"]["terminationGracePeriodSeconds"] > before + grace


@pytest.mark.parametrize("case", CASES)
def test_the_settings_file_is_read_without_a_complaint(case, tmp_path):
    (made,) = of_kind(case, "ConfigMap").values()
    file = tmp_path / "freddy.toml"
    file.write_text(made["data"]["freddy.toml"])
    tomllib.loads(file.read_text())
    told = {name: value for name, value in variables(pods(case)["freddy-api"]).items() if isinstance(value, str)}
    secrets = {"FREDDY_DATABASE": "postgresql://freddy@postgres/freddy", "FREDDY_SECRET_KEY": "k" * 44}
    settings, origins = config.load({**told, **secrets}, file)
    assert origins.warnings == ()
    assert not settings.development


def test_servers_perform_the_background_themselves_until_there_are_workers():
    assert "freddy-worker" not in pods("default")
    assert "FREDDY_BACKGROUND_AT_ONCE" not in variables(pods("default")["freddy-api"])
    for case in ("apart", "everything"):
        assert variables(pods(case)["freddy-api"])["FREDDY_BACKGROUND_AT_ONCE"] == "0"
        assert "FREDDY_BACKGROUND_AT_ONCE" not in variables(pods(case)["freddy-worker"])


@pytest.mark.parametrize("case", CASES)
def test_what_selects_pods_finds_those_of_the_api(case):
    labels = pods(case)["freddy-api"]["metadata"]["labels"]
    (service,) = of_kind(case, "Service").values()
    selectors = [service["spec"]["selector"]]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in of_kind(case, "PodDisruptionBudget").values()]
    selectors.append(of_kind(case, "Deployment")["freddy-api"]["spec"]["selector"]["matchLabels"])
    for selector in selectors:
        assert selector.items() <= labels.items()
    if worker := pods(case).get("freddy-worker"):
        assert not service["spec"]["selector"].items() <= worker["metadata"]["labels"].items()


def test_the_schema_is_brought_up_before_an_upgrade():
    (job,) = of_kind("default", "Job").values()
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    assert container(job["spec"]["template"])["args"] == ["db", "upgrade"]
    assert "secretKeyRef" in variables(job["spec"]["template"])["FREDDY_DATABASE"]


def test_the_ingress_hands_streams_on_and_keeps_the_inside_inside():
    (ingress,) = of_kind("everything", "Ingress").values()
    told = ingress["metadata"]["annotations"]
    assert told["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    defaults = config.load({"FREDDY_HOME": "/nowhere"}, None)[0]
    assert int(told["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > defaults.timeouts.total_seconds
    body = told["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert int(body.removesuffix("m")) * 2**20 > defaults.files.max_bytes
    (rule,) = ingress["spec"]["rules"]
    paths = [one["path"] for one in rule["http"]["paths"]]
    assert not any(inside.startswith(tuple(paths)) for inside in ("/metrics", "/health/live", "/health/ready"))


def test_the_charts_version_of_freddy_is_this_one():
    told = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert told["appVersion"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
