"""The chart as Helm renders it. Tests need no Helm: what it made is kept in `rendered/`, with what it was made of.

After a change of the chart, with Helm 3.14 or newer on the path: `python tests/deploy/chart_rendering.py`.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "deploy/helm/freddy"
RENDERED = Path(__file__).with_name("rendered")
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": {
        "image": {"repository": "registry.example.com/freddy", "tag": "0.1.0-embedded"},
        "imagePullSecrets": [{"name": "registry"}],
        "secret": "freddy-secrets",
        "settings": '[server]\npublic_url = "https://freddy.example.com"\n\n[files]\ns3_bucket = "freddy"\n',
        "shutdownSeconds": 120,
        "preStopSeconds": 15,
        "api": {
            "podAnnotations": {"example.com/team": "models"},
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [{"key": "models", "operator": "Exists"}],
        },
        "workers": {"replicas": 3, "podAnnotations": {"example.com/team": "models"}},
        "autoscaling": {"enabled": True, "maxReplicas": 20},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/freddy"}},
        "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "freddy-tls"},
        "networkPolicy": {
            "enabled": True,
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}],
        },
    },
    "small": {
        "api": {"replicas": 1},
        "disruptionBudget": {"enabled": False},
        "migration": {"enabled": False},
        "metrics": {"annotations": False},
    },
    "apart": {"workers": {"replicas": 2}, "metrics": {"annotations": False}},
}
"""Name → values that differ from the chart's own."""


def digest() -> str:
    """Of the chart and of the cases."""
    whole = hashlib.sha256(json.dumps(CASES, sort_keys=True).encode())
    for path in sorted(path for path in CHART.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(CHART)}\n".encode() + path.read_bytes())
    return whole.hexdigest()


def kept(case: str) -> list[dict[str, Any]]:
    """What Helm made of it."""
    return list(yaml.safe_load_all((RENDERED / f"{case}.yaml").read_text()))


def made(case: str) -> list[dict[str, Any]]:
    """What the Helm on the path makes of it now."""
    helm = shutil.which("helm")
    assert helm, "there is no helm on the path"
    with tempfile.NamedTemporaryFile("w", suffix=".json") as values:
        json.dump(CASES[case], values)
        values.flush()
        done = subprocess.run(
            [helm, "template", "freddy", str(CHART), "--values", values.name],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    found = [one for one in yaml.safe_load_all(done.stdout) if one]
    return sorted(found, key=lambda one: (one["kind"], one["metadata"]["name"]))


if __name__ == "__main__":
    RENDERED.mkdir(exist_ok=True)
    for name in CASES:
        (RENDERED / f"{name}.yaml").write_text(yaml.safe_dump_all(made(name), sort_keys=False))
    (RENDERED / "digest").write_text(digest() + "\n")
