"""One Hypothesis profile for all tests: the same examples on every run, and no clock to fail by."""

from hypothesis import settings

settings.register_profile("dropblock", derandomize=True, database=None, deadline=None, print_blob=True)
settings.load_profile("dropblock")
