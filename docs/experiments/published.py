"""The paper's Tables 1 to 4 as it prints them, in percent: a number, or a number and its spread over three runs."""

Number = tuple[float, float] | float

TABLE_1: dict[str, dict[str, Number]] = {  # ResNet-50 on ImageNet
    "none": {"top-1": (76.51, 0.07), "top-5": (93.20, 0.05)},
    "dropout": {"top-1": (76.80, 0.04), "top-5": (93.41, 0.04)},
    "DropPath": {"top-1": (77.10, 0.08), "top-5": (93.50, 0.05)},
    "SpatialDropout": {"top-1": (77.41, 0.04), "top-5": (93.74, 0.02)},
    "Cutout": {"top-1": (76.52, 0.07), "top-5": (93.21, 0.04)},
    "AutoAugment": {"top-1": 77.63, "top-5": 93.82},
    "label smoothing": {"top-1": (77.17, 0.05), "top-5": (93.45, 0.03)},
    "DropBlock": {"top-1": (78.13, 0.05), "top-5": (94.02, 0.02)},
    "DropBlock + label smoothing": {"top-1": (78.35, 0.05), "top-5": (94.15, 0.03)},
}

TABLE_2: dict[str, dict[str, Number]] = {  # AmoebaNet-B (6, 256) on ImageNet
    "none": {"top-1": 82.25, "top-5": 95.88},
    "DropBlock": {"top-1": 82.52, "top-5": 96.07},
}

TABLE_3: dict[str, dict[str, Number]] = {  # RetinaNet, ResNet-50 FPN, on COCO; from random weights but for the first
    "fine-tuning from ImageNet": {"AP": 36.5, "AP50": 55.0, "AP75": 39.1},
    "none": {"AP": 36.8, "AP50": 54.6, "AP75": 39.4},
    "block 1": {"AP": 37.9, "AP50": 56.1, "AP75": 40.6},
    "block 3": {"AP": 38.3, "AP50": 56.4, "AP75": 41.2},
    "block 5": {"AP": 38.4, "AP50": 56.4, "AP75": 41.2},
    "block 7": {"AP": 38.2, "AP50": 56.0, "AP75": 40.9},
}

TABLE_4: dict[str, dict[str, Number]] = {  # ResNet-101 FPN and FCN on VOC 2012; from random weights but for the first
    "fine-tuning from ImageNet": {"mIOU": 74.6},
    "none": {"mIOU": 47.2},
    "block 1": {"mIOU": 51.0},
    "block 4": {"mIOU": 53.2},
    "block 16": {"mIOU": 53.4},
}
