# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""The synchronous client."""
