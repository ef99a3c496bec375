"""The settings: declared in `settings`, read in `load`, shown in `page`."""

from freddy.server.config.load import ConfigError, Origins, dev_key, load, proxy_for, read
from freddy.server.config.settings import Settings, Upstream, is_loopback

__all__ = ["ConfigError", "Origins", "Settings", "Upstream", "dev_key", "is_loopback", "load", "proxy_for", "read"]
