"""A server with vector stores in the loop of the test."""

from scripted import upstream
from stores_stage import shelf

__all__ = ["shelf", "upstream"]
