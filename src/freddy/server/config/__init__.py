"""The settings: declared in `settings` and its `sections`, read in `load`, shown in `page`."""

from freddy.server.config.load import ConfigError, Origins, dev_key, first_set, load, proxy_for, read
from freddy.server.config.settings import Candidate, Price, Served, Settings, Upstream, is_loopback

__all__ = [
    "Candidate",
    "ConfigError",
    "Origins",
    "Price",
    "Served",
    "Settings",
    "Upstream",
    "dev_key",
    "first_set",
    "is_loopback",
    "load",
    "proxy_for",
    "read",
]
