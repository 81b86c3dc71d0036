"""For all tests."""

from hypothesis import settings

# The same examples in each run: a law that does not hold is to fail where it was broken, not in
# somebody else's change. To look for more: pytest --hypothesis-profile default.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")
