"""`freddy ask` against a scripted server."""

import json
import os
import signal
import subprocess
import sys

import pytest
from scripted_gateway import RESPONSE

from freddy.server import cli
from freddy.server.cli import terminal


@pytest.fixture
def ask(script, environment, monkeypatch, capsys):
    """Runs the command in this process; the exit code, stdout and stderr."""
    monkeypatch.setenv("FREDDY_BASE_URL", script.url)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(["ask", *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_the_answer_is_written_as_bare_text_where_nobody_watches(ask, script):
    assert ask("Say", "hello") == (0, "Hello there\n", "")
    path, _, body = script.requests[0]
    assert path == "/v1/model/response"
    assert body == {"inputs": [{"role": "user", "content": "Say hello"}], "stream": True}


def test_options_go_into_the_request(ask, script):
    ask("hi", "--model", "m", "--system", "Be brief", "--thread", "trip", "--max-tokens", "9")
    body = script.requests[0][2]
    assert (body["model"], body["instructions"], body["thread"]) == ("m", "Be brief", "trip")
    assert body["max_output_synapses"] == 9


def test_json_writes_the_final_response(ask):
    code, out, _ = ask("hi", "--json")
    assert (code, json.loads(out)) == (0, RESPONSE)


def test_a_refusal_is_one_line_on_stderr(ask, script):
    error = {"message": "Unknown model\n'x'", "type": "invalid_request_error", "code": "model_not_found"}
    script.refusal = (404, {"error": error})
    code, out, err = ask("hi", "--model", "x")
    assert (code, out) == (1, "")
    assert err.startswith("freddy: Unknown model 'x'")
    assert err.count("\n") == 1


def test_a_response_that_fails_says_why(ask, script):
    script.final = {
        **RESPONSE,
        "status": "failed",
        "error": {"code": "provider_error", "message": "it broke"},
    }
    code, _, err = ask("hi")
    assert (code, err) == (1, "freddy: it broke\n")


def test_an_answer_that_was_cut_says_so(ask, script):
    details = {"reason": "max_output_tokens"}
    script.final = {**RESPONSE, "status": "incomplete", "incomplete_details": details}
    code, out, err = ask("hi")
    assert (code, out) == (0, "Hello there\n")
    assert "max_output_tokens" in err


def test_no_question_is_wrong_use(ask):
    code, _, err = ask()
    assert code == 2
    assert "there is no question" in err


def test_a_server_that_is_not_there_is_one_line_with_the_cure(ask, script, monkeypatch):
    monkeypatch.setenv("FREDDY_BASE_URL", "http://127.0.0.1:1")
    code, _, err = ask("hi")
    assert code == 1
    assert "http://127.0.0.1:1" in err
    assert "freddy serve" in err
    assert err.count("\n") == 1


def test_the_key_of_the_environment_is_sent(ask, script, monkeypatch):
    monkeypatch.setenv("FREDDY_API_KEY", "sk-mine")
    ask("hi")
    assert "sk-mine" in str(script.requests[0][1])


def test_without_a_key_the_development_key_in_the_home_folder_is_sent(ask, script, home):
    (home / "dev_key").write_text("sk-frdy-dev\n")
    ask("hi")
    assert "sk-frdy-dev" in str(script.requests[0][1])


def test_the_development_key_is_never_sent_to_another_machine(environment, home, monkeypatch):
    from freddy.server.cli import ask

    (home / "dev_key").write_text("sk-frdy-dev\n")
    monkeypatch.setenv("FREDDY_BASE_URL", "https://freddy.example")
    with ask._client(None) as client:
        assert client._transport.settings.api_key is None


def test_the_port_of_the_settings_is_where_the_server_is_looked_for(script, environment, monkeypatch, capsys):
    monkeypatch.setenv("FREDDY_PORT", script.url.rpartition(":")[2])
    assert cli.run(["ask", "hi"]) == 0
    assert capsys.readouterr().out == "Hello there\n"


def test_piped_text_is_added_to_the_question(freddy, script):
    done = freddy("ask", "Sum this up", stdin="a long text\n", FREDDY_BASE_URL=script.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello there\n", "")
    assert script.requests[0][2]["inputs"][0]["content"] == "Sum this up\n\na long text"


def test_a_dash_reads_the_question_from_stdin(freddy, script):
    freddy("ask", "-", stdin="What?\n", FREDDY_BASE_URL=script.url)
    assert script.requests[0][2]["inputs"][0]["content"] == "What?"


def test_control_characters_of_an_answer_cannot_drive_the_terminal():
    assert terminal.harmless("a\x1b[2Jb\nc\td\x9b\x7f é") == "a[2Jb\nc\td é"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_answer_has_colour_unless_the_user_wants_none(script, environment):
    import pty

    def seen(**variables: str) -> str:
        ours, theirs = pty.openpty()
        try:
            subprocess.run(
                [sys.executable, "-m", "freddy", "ask", "hi"],
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=subprocess.DEVNULL,
                env={**environment, "FREDDY_BASE_URL": script.url, **variables},
                timeout=30,
                check=True,
            )
            return os.read(ours, 4096).decode()
        finally:
            os.close(ours)
            os.close(theirs)

    assert "\x1b[36mHello\x1b[0m" in seen()
    assert "\x1b" not in seen(NO_COLOR="1")


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_cancels_the_response_and_ends_with_130(script, environment):
    script.hold.clear()
    with subprocess.Popen(
        [sys.executable, "-m", "freddy", "ask", "hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment, "FREDDY_BASE_URL": script.url},
    ) as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.read(5) == b"Hello"
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130
        assert child.stderr.read() == b""
    assert script.cancelled.is_set()
    assert script.requests[-1][0] == "/v1/model/response/resp_1/cancel"


def test_a_question_that_is_not_text_is_wrong_use(ask, script):
    for wrong in (["\udcff"], ["hi", "--system", "\udcff"]):
        code, out, err = ask(*wrong)
        assert (code, out) == (2, "")
        assert "UTF-8" in err
    assert script.requests == []
