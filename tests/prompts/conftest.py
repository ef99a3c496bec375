"""A server over a scripted upstream for every test that takes `gateway`."""

from scripted import gateway, opened, upstream

__all__ = ["gateway", "opened", "upstream"]
