"""A server over a scripted upstream for every test that takes `gateway`."""

from mcp_servers import served_tools
from scripted import closed, gateway, no_surroundings, opened, unused_port, upstream

__all__ = ["closed", "gateway", "no_surroundings", "opened", "served_tools", "unused_port", "upstream"]
