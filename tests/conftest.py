"""Puts this folder on the import path, so that every test finds `freddy_fakes`."""
