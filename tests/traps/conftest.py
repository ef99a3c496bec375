"""Every test that takes `adapter` gets a server over its simulator."""

from adapted import gateway, opened, unused_port, upstream

__all__ = ["gateway", "opened", "unused_port", "upstream"]
