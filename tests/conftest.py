"""Puts this folder on the import path, where tests find `freddy_fakes`; says how hard hypothesis looks."""

from hypothesis import settings

settings.register_profile("freddy", max_examples=50, deadline=None, database=None)
settings.load_profile("freddy")
