# SPDX-License-Identifier: Apache-2.0
"""torchvision, which other people's layers import as well."""

from importlib import import_module
from typing import Any

import torch

library: Any = torch.library  # which has no types
SCHEMAS = library.Library("torchvision", "FRAGMENT")  # while it lives, the operators it defines exist


def import_torchvision() -> Any:
    """torchvision, even where a wheel built for CUDA lies beside a PyTorch that is not.

    Its C++ extension then does not load, and the import stops at two operators that only the extension defines.
    Declaring them is enough for what is written in Python, as DropBlock is.
    """
    try:
        return import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
        for name in ("nms", "qnms"):
            SCHEMAS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return import_module("torchvision")
