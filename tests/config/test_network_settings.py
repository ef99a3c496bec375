"""The setting of what may be called though it is private."""

from pathlib import Path

import pytest

from freddy.server import config
from freddy.server.core.networks import Opening


def read(tmp_path: Path, text: str):
    file = tmp_path / "freddy.toml"
    file.write_text(text)
    settings, _ = config.read(file)
    return settings.network.allow_private


def test_nothing_is_open_by_default(tmp_path):
    assert read(tmp_path, "") == ()


def test_a_list_of_the_file_and_a_text_of_the_environment_say_the_same(tmp_path, monkeypatch):
    told = ("10.0.0.0/8", "mcp.internal")
    assert read(tmp_path, '[network]\nallow_private = ["10.0.0.0/8", "mcp.internal"]') == told
    monkeypatch.setenv("FREDDY_ALLOW_PRIVATE", " 10.0.0.0/8, mcp.internal,")
    assert read(tmp_path, "") == told
    assert Opening.of(told).named("mcp.internal")


@pytest.mark.parametrize("value", ["3", '["10.0.0.1/8"]', '["http://x"]', "[1]", '["127.1"]'])
def test_what_is_neither_a_network_nor_a_host_stops_the_start(tmp_path, value):
    with pytest.raises(config.ConfigError, match=r"network\.allow_private must be"):
        read(tmp_path, f"[network]\nallow_private = {value}")
