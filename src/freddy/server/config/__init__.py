"""The settings: declared in `settings`, read in `load`, shown in `page`."""

from freddy.server.config.load import ConfigError, Origins, dev_key, first_set, load, proxy_for, read
from freddy.server.config.settings import Served, Settings, Upstream, is_loopback

__all__ = [
    "ConfigError",
    "Origins",
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
