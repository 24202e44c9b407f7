# SPDX-License-Identifier: Apache-2.0
"""Versions of what may matter to a result: what runs, and what is judged."""

from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    *("dropblock-core", "numpy", "scipy", "hypothesis", "torch", "jax", "tensorflow-cpu", "tensorflow", "keras"),
    *("torchvision", "timm", "dropblock", "torchregularize", "pylocron", "glasses", "pytorch-toolbelt", "mmdet"),
    *("keras-cv", "tf-keras", "keras-drop-block", "paddledet", "paddlepaddle"),
)


def versions() -> dict[str, str]:
    """Versions of what may matter to a result, where installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
