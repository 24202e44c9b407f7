"""One Hypothesis profile for all tests: the same examples on every run, and no clock to fail by."""

import contextlib
import gc
import os

from hypothesis import given, settings
from hypothesis import strategies as st

# Triton's kernels run on the CPU here. It asks once, when it is first imported, which PyTorch does unasked.
os.environ.setdefault("TRITON_INTERPRET", "1")

# Loaded after TensorFlow's copy of LLVM, Triton's brings the process down; before it, both work.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

# JAX as if it had eight devices, for what it does across several. It asks once as well.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

settings.register_profile("dropblock", derandomize=True, database=None, deadline=None, print_blob=True)
settings.load_profile("dropblock")


def pytest_collection_finish() -> None:
    """What is loaded stays: without this, each full collection walks some millions of the frameworks' objects."""
    given(st.none())(lambda _: None)()  # Hypothesis looks for objects of its own at first, and not among frozen ones
    gc.collect()
    gc.freeze()
