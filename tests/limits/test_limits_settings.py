"""The settings of limits: what they take, and that the password of Redis is never shown."""

import pytest

from freddy.server import config
from freddy.server.cli.doctor import _rows

SECRET = "hush-hush"


def load(tmp_path, **variables):
    return config.load({"FREDDY_HOME": str(tmp_path), **variables}, None)


def test_limits_are_off_until_they_are_set(tmp_path):
    told = load(tmp_path)[0].limits
    assert (told.redis_url, told.on_failure) == (None, "allow")
    assert told.key_requests_per_minute is told.organization_monthly_budget is None


def test_limits_are_read_from_file_and_environment(tmp_path):
    (tmp_path / "freddy.toml").write_text("[limits]\nkey_concurrent_runs = 4\norganization_monthly_budget = 12.5\n")
    told = load(tmp_path, FREDDY_LIMITS_KEY_TOKENS_PER_MINUTE="90000", FREDDY_LIMITS_ON_FAILURE="refuse")[0].limits
    assert (told.key_concurrent_runs, told.key_tokens_per_minute) == (4, 90_000)
    assert (told.organization_monthly_budget, told.on_failure) == (12.5, "refuse")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FREDDY_LIMITS_KEY_REQUESTS_PER_MINUTE", "0"),
        ("FREDDY_LIMITS_KEY_CONCURRENT_RUNS", "1.5"),
        ("FREDDY_LIMITS_ORGANIZATION_MONTHLY_BUDGET", "-1"),
        ("FREDDY_LIMITS_ORGANIZATION_MONTHLY_BUDGET", "nan"),
        ("FREDDY_LIMITS_ON_FAILURE", "panic"),
    ],
)
def test_a_setting_that_makes_no_sense_stops_the_start(tmp_path, variable, text):
    with pytest.raises(config.ConfigError, match=variable):
        load(tmp_path, **{variable: text})


@pytest.mark.parametrize(
    "address",
    [
        f"redis://:{SECRET}@cache:6379/0",
        f"rediss://user:{SECRET}@cache",
        f"valkey://user:{SECRET}@[::1]:6379",
        "unix:///run/valkey.sock?db=1",
    ],
)
def test_the_address_of_redis_is_taken_and_never_shown(tmp_path, address):
    settings, origins = load(tmp_path, FREDDY_REDIS_URL=address)
    assert settings.limits.redis_url == address
    shown = {row.name: row.value for row in _rows(settings, origins)}
    assert shown["limits.redis_url"] == "***"
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("address", [f"http://{SECRET}@cache", "redis://", f"redis://{SECRET}@a:0", f"{SECRET}"])
def test_what_is_no_address_of_redis_is_refused_without_being_shown(tmp_path, address):
    with pytest.raises(
        config.ConfigError, match="FREDDY_REDIS_URL must be an address that starts with redis"
    ) as caught:
        load(tmp_path, FREDDY_REDIS_URL=address)
    assert SECRET not in str(caught.value)
