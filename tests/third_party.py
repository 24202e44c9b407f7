"""Third-party packages as the tests and benchmarks need them, and nothing else: no user of ours goes through here."""

import importlib
from types import ModuleType

import torch

# While this object lives, the operators it defines exist.
_SCHEMAS = torch.library.Library("torchvision", "FRAGMENT")


def import_torchvision() -> ModuleType:
    """torchvision, even where PyPI's wheel, built for CUDA, lies beside a PyTorch that is not.

    Its C++ extension then does not load, and the import stops at two operators that only the extension defines.
    Declaring them is enough for what is written in Python: models, and ``torchvision.ops.DropBlock2d``.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
    for name in ("nms", "qnms"):
        _SCHEMAS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("torchvision")
