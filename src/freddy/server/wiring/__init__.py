"""Joins the rooms: the only package that knows every one of them."""

from freddy.server.wiring.house import House, open_house

__all__ = ["House", "open_house"]
