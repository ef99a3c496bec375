"""A server with all tools in the loop of the test."""

import pytest

from mcp_servers import served_tools
from scripted import upstream
from stores_stage import shelf

__all__ = ["served_tools", "shelf", "upstream"]


@pytest.fixture
def gateway(shelf):
    return shelf.gateway
