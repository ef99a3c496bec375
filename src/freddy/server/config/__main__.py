"""Writes the page of settings to stdout."""

import sys

from freddy.server.config.page import page

sys.stdout.write(page())
