"""Tells what is wrong with the address of a Redis or Valkey as any other problem with settings is told."""

from collections.abc import Iterator
from contextlib import contextmanager

from freddy.server.config import ConfigError


@contextmanager
def opening() -> Iterator[None]:
    """Around what imports the client, an extra that takes long to import, and hands it the address.

    Raises `ConfigError`.
    """
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            ("FREDDY_REDIS_URL needs a package more: pip install 'freddy-gateway[server,redis]'",)
        ) from error
    except ValueError as error:
        raise ConfigError((f"FREDDY_REDIS_URL: {error}",)) from error
