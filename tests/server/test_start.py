"""What a server says when it cannot start, and whom it lets in when it can."""

import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from freddy_process import environment, refused, serving
from freddy_upstream import Upstream


def one_line(home: Path, **variables: str) -> str:
    """The only line that a server says which does not start."""
    code, out, err = refused(home, **variables)
    assert code
    assert out == ""
    assert err.startswith("freddy: ")
    assert err.count("\n") == 1
    return err


def test_development_mode_on_a_public_address_is_refused(tmp_path: Path):
    said = one_line(tmp_path / "home", FREDDY_HOST="0.0.0.0", FREDDY_DEV_MODE="on")
    assert "development mode lets anyone in" in said
    assert "FREDDY_DEV_MODE=off" in said


def test_a_port_in_use_is_named(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = one_line(tmp_path / "home", FREDDY_PORT=port)
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert "FREDDY_PORT" in said


def test_an_address_of_another_machine_is_named(tmp_path: Path):
    said = one_line(tmp_path / "home", FREDDY_HOST="192.0.2.1")
    assert "cannot listen on 192.0.2.1" in said


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path):
    place = tmp_path / "file"
    place.touch()
    said = one_line(tmp_path / "cwd", FREDDY_HOME=str(place / "home"))
    assert str(place / "home") in said
    assert "FREDDY_HOME" in said


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path):
    said = one_line(tmp_path / "home", FREDDY_DATABASE=str(tmp_path))
    assert str(tmp_path) in said
    assert "may read and write" in said


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("[server\n", "not valid TOML"),
        ("[server]\nporrt = 1\n", "did you mean 'server.port'?"),
        ("[log]\nlevel = 'loud'\n", "log.level must be one of debug, info"),
    ],
)
def test_a_broken_settings_file_is_named_with_its_fault(tmp_path: Path, text: str, want: str):
    home = tmp_path / "home"
    home.mkdir()
    (home / "freddy.toml").write_text(text)
    said = one_line(home)
    assert str(home / "freddy.toml") in said
    assert want in said


def test_a_file_that_is_no_database_is_named(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    database = home / "freddy.db"
    database.write_bytes(b"not a database " * 1000)
    said = one_line(home)
    assert str(database) in said
    assert "not an SQLite database" in said
    assert database.read_bytes() == b"not a database " * 1000


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    with sqlite3.connect(home / "freddy.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    said = one_line(home)
    assert "'9999'" in said
    assert "Run the version of Freddy that wrote it" in said


def test_a_development_key_cut_off_by_a_crash_is_made_again(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "dev_key").touch()
    with serving(home) as server, server.client() as client:
        assert server.key.startswith("sk-frdy-")
        assert client.get("/v1/models").status_code == 200
    assert (home / "dev_key").read_text().strip() == server.key
    with serving(home) as again:
        assert again.key == server.key


def test_on_a_public_address_nobody_gets_in_without_a_key(tmp_path: Path):
    home = tmp_path / "home"
    with (
        Upstream() as upstream,
        serving(home, FREDDY_HOST="0.0.0.0", FREDDY_UPSTREAM_URL=upstream.url) as server,
    ):
        assert server.key == ""
        assert "freddy keys create" in server.greeting
        made = subprocess.run(
            [sys.executable, "-m", "freddy", "keys", "create", "test"],
            env=environment(home),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        key = next(word for word in made.stdout.split() if word.startswith("sk-frdy-"))
        for given in ("", "your-api-key", "YOUR_API_KEY", "sk-frdy-guess"):
            with server.client(given) as client:
                for path in ("/v1/model/response", "/v1/responses", "/v1/model/response/stream"):
                    answer = client.post(path, json={"inputs": "Hi", "input": "Hi", "model": "m"})
                    assert answer.status_code == 401
                    assert answer.json()["error"]["code"] == "invalid_api_key"
                    assert answer.headers["www-authenticate"] == "Bearer"
                assert client.get("/v1/models").status_code == 401
                assert client.get("/health/ready").status_code == 200
        with server.client(key) as client:
            answer = client.post("/v1/model/response", json={"inputs": "Hi", "model": "m"})
            assert answer.json()["response"] == "Light becomes sugar in leaves."
        assert len(upstream.asked) == 1


def test_without_any_model_each_dialect_says_what_to_do(tmp_path: Path):
    with serving(tmp_path / "home") as server, server.client() as client:
        freddy = client.post("/v1/model/response", json={"inputs": "Hi"})
        openai = client.post("/v1/responses", json={"input": "Hi", "model": "gpt-4o"})
        assert (freddy.status_code, openai.status_code) == (404, 404)
        for answer in (freddy, openai):
            assert answer.json()["error"]["code"] == "model_not_found"
            assert "GET /v1/models" in answer.text
        assert client.get("/health/ready").json() == {
            "status": "ready",
            "checks": {"database": "ok", "embedded_model": "absent"},
        }


def test_a_model_file_that_cannot_be_loaded_is_told_with_the_cure(tmp_path: Path):
    model = tmp_path / "broken.gguf"
    model.write_bytes(b"\0" * 1000)
    with serving(tmp_path / "home", FREDDY_MODEL=str(model)) as server, server.client() as client:
        freddy = client.post("/v1/model/response", json={"inputs": "Hi"})
        assert freddy.status_code == 503
        error = freddy.json()["error"]
        assert error["code"] == "provider_unavailable"
        assert "is not a GGUF file" in error["message"]
        assert "GGUF format" in error["details"]
        openai = client.post("/v1/responses", json={"input": "Hi", "model": "gpt-4o", "stream": True})
        assert openai.status_code == 503
        assert "is not a GGUF file" in openai.json()["error"]["message"]
        ready = client.get("/health/ready").json()["checks"]["embedded_model"]
        assert ready.startswith("failed: ")
        assert "is not a GGUF file" in ready
