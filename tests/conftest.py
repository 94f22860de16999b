"""Hypothesis tries the same examples every time; a slow first call (it compiles) is no fault."""

from hypothesis import settings

settings.register_profile("fastbp", derandomize=True, deadline=None, database=None)
settings.load_profile("fastbp")
