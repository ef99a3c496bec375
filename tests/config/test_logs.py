"""What a log line holds, and what it never holds."""

import io
import json
import logging

import pytest

from freddy.server import logs


class Written:
    """A logger of its own and what it wrote."""

    def __init__(self, form: logs.Form, name: str = "freddy.test") -> None:
        self.stream = io.StringIO()
        logger = logging.Logger(name, logging.INFO)  # noqa: LOG001 (one that no other test shares)
        logger.addHandler(logs.make_handler(self.stream, form))
        self.logger = logger
        self.log = logs.Log(logger)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def line(self) -> dict[str, object]:
        return json.loads(self.text)


def test_a_json_line_has_the_event_its_fields_and_its_place():
    written = Written("json")
    written.log.info("run_finished", run_id="resp_1", tokens=7)
    line = written.line
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "run_finished",
        "logger": "freddy.test",
        "run_id": "resp_1",
        "tokens": 7,
    }


def test_the_standard_librarys_way_with_extra_gives_the_same_line():
    written = Written("json")
    written.logger.warning("engine_ended", extra={"model": "m", "starts": 2})
    assert (written.line["event"], written.line["model"], written.line["starts"]) == ("engine_ended", "m", 2)


def test_a_librarys_line_is_a_message():
    written = Written("json", name="uvicorn.error")
    written.logger.warning("Invalid %s request", "HTTP")
    assert written.line["message"] == "Invalid HTTP request"


def test_lines_within_a_request_have_its_id():
    written = Written("json")
    with logs.request("req_9"):
        written.log.info("asked")
    assert written.line["request_id"] == "req_9"


def test_a_text_line_is_one_line_that_no_value_can_forge():
    written = Written("text")
    written.log.info("refused", path="/x\n2026 info  forged", reason="a b")
    assert written.text.count("\n") == 1
    assert written.text.endswith('info    refused path="/x\\n2026 info  forged" reason="a b"\n')


def test_a_disabled_level_does_not_even_look_at_the_fields():
    class Costly:
        def __str__(self) -> str:
            raise AssertionError("looked at")

    written = Written("text")
    written.log.debug("detail", value=Costly())
    assert written.text == ""


@pytest.mark.parametrize("form", ["json", "text"])
def test_values_of_secret_names_are_never_written(form):
    written = Written(form)
    written.log.info(
        "asked",
        api_key="hush",
        secret="hush",
        password="hush",
        headers={"Authorization": "hush", "X-API-Key": "hush", "Set-Cookie": "hush", "accept": "json"},
        list=[{"refresh_token": "hush"}],
    )
    assert "hush" not in written.text
    assert "json" in written.text


@pytest.mark.parametrize("form", ["json", "text"])
def test_what_looks_like_a_credential_is_hidden_wherever_it_stands(form):
    written = Written(form)
    try:
        int("upstream said: bad key sk-frdy-hush1234567")
    except ValueError:
        written.log.exception("failed", url="https://ada:hush@index.test/simple", header="Bearer hush123.456")
    written.logger.info("key is sk-hush1234567")
    assert "hush" not in written.text
    assert "ValueError" in written.text


def test_counts_of_tokens_and_ids_of_keys_are_no_secrets():
    written = Written("json")
    written.log.info("counted", input_tokens=3, key_id="key_1", tokens=4)
    assert (written.line["input_tokens"], written.line["key_id"], written.line["tokens"]) == (3, "key_1", 4)


def test_an_odd_value_still_gives_a_line():
    written = Written("json")
    written.log.info("odd", half="\ud800", table={1: object()}, path=io.StringIO)
    assert written.line["event"] == "odd"


def test_a_field_cannot_take_the_place_of_the_event():
    written = Written("json")
    written.logger.info("real", extra={"event": "forged", "level": "none"})
    assert (written.line["event"], written.line["level"]) == ("real", "info")


@pytest.mark.usefixtures("own_logging")
def test_every_logger_of_the_process_is_routed_to_stderr(capsys):
    logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
    logs.configure("info", "json")
    logging.getLogger("uvicorn.error").warning("seen")
    logging.getLogger("uvicorn.error").info("too chatty")
    logs.get("freddy.a").info("seen_too")
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("message") or line.get("event") for line in said] == ["seen", "seen_too"]
