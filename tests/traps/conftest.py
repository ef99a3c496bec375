"""Every test that takes `adapter` gets a server over its simulator."""

from adapted import opened, upstream
from scripted import gateway, unused_port

__all__ = ["gateway", "opened", "unused_port", "upstream"]
