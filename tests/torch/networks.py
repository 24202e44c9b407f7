"""The networks that docs/placement.md promises: each of its library's own class, small, and where its layers go."""

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision
from dropblock_torch import Where
from tests.shared.generated import write_generated

torchvision = import_torchvision()
timm = importlib.import_module("timm")  # these import torchvision in their turn
smp = importlib.import_module("segmentation_models_pytorch")
tv = torchvision.models
detection, segmentation = tv.detection, tv.segmentation


@dataclass(frozen=True)
class Network:
    """A row: a library's model, the arguments of add_dropblock for it as source text, and how many layers it gets."""

    library: str
    name: str
    create: Callable[[], Any]
    call: str
    layers: int
    marks: Any = ()

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(eval(f"dict({self.call})", {"Where": Where}))


def without_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let detectors run beside a PyTorch for which torchvision has no compiled operators."""
    monkeypatch.setattr(torchvision.ops.boxes, "nms", _nms)
    roi_align = sys.modules["torchvision.ops.roi_align"]
    monkeypatch.setattr(roi_align, "_roi_align", inspect.unwrap(roi_align._roi_align))  # which would be compiled first


def _nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The best box first, and none that overlaps one kept before."""
    kept: list[int] = []
    for box in scores.argsort(descending=True, stable=True).tolist():
        if not kept or torchvision.ops.box_iou(boxes[box : box + 1], boxes[kept]).max() <= iou_threshold:
            kept.append(box)
    return torch.tensor(kept, dtype=torch.long)


def is_detector(model: Any) -> bool:
    return type(model).__module__.startswith("torchvision.models.detection.")


def outputs(model: Any) -> list[Tensor]:
    """What a model says of two images of 64x64; a detector in training, its losses, and scores and boxes else."""
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    if not is_detector(model):
        y = model(images)
        return [y] if isinstance(y, Tensor) else list(y.values())
    target = {
        "boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]),
        "labels": torch.tensor([1]),
        "masks": torch.ones(1, 64, 64, dtype=torch.uint8),
    }
    told = model(list(images), [target, target] if model.training else None)
    return list(told.values()) if model.training else [value for one in told for value in one.values()]


def _timm(name: str, **options: Any) -> Callable[[], Any]:
    return partial(timm.create_model, name, num_classes=4, **options)


def _pnasnet() -> Any:
    """PNASNet-5 with an eighteenth of the channels: its class takes no width, so its parts are made narrower."""
    module = timm.models.pnasnet
    originals = {name: getattr(module, name) for name in ("Cell", "CellStem0", "ConvNormAct")}

    def narrow(original: Any, *sizes: int, **options: Any) -> Any:
        scaled = {name: n // 6 if "chs" in name else n for name, n in options.items()}
        return original(*(n // 6 if n == 96 else n for n in sizes), **scaled)

    try:
        for name, original in originals.items():
            setattr(module, name, partial(narrow, original))
        model = module.PNASNet5Large()
    finally:
        for name, original in originals.items():
            setattr(module, name, original)
    model.num_features //= 6
    model.reset_classifier(4)
    return model


def _smp(name: str, **options: Any) -> Callable[[], Any]:
    return partial(getattr(smp, name), "resnet18", encoder_weights=None, classes=4, **options)


FROZEN = torchvision.ops.misc.FrozenBatchNorm2d


def _detector(kind: Any, norm: Any, **options: Any) -> Any:
    """ResNet-18 with a feature pyramid of 32 channels and three levels, the last one coarser than the ResNet's."""
    levels = {"layer3": "0", "layer4": "1"}
    backbone = detection.backbone_utils.BackboneWithFPN(tv.resnet18(norm_layer=norm), levels, [256, 512], 32)
    return kind(backbone, min_size=64, max_size=64, **options)


ANCHORS = detection.anchor_utils.AnchorGenerator(((8,), (16,), (32,)), ((1.0,),) * 3)


def _one_stage(kind: Any, norm: Any) -> Any:
    """A detector that tells its best boxes, be their scores as they may."""
    few = {"detections_per_img": 5, "topk_candidates": 20, "score_thresh": 0.0}
    return _detector(kind, norm, num_classes=3, anchor_generator=ANCHORS, **few)


def _two_stages(kind: Any) -> Any:
    few = {f"rpn_{when}_nms_top_n_{mode}": 8 for when in ("pre", "post") for mode in ("train", "test")}
    head, predictor = detection.faster_rcnn.TwoMLPHead(32 * 7 * 7, 16), detection.faster_rcnn.FastRCNNPredictor(16, 3)
    options = {**few, "box_head": head, "box_predictor": predictor, "box_detections_per_img": 5}
    if kind is detection.MaskRCNN:
        options["mask_head"] = detection.mask_rcnn.MaskRCNNHeads(32, (32, 32), dilation=1)
        options["mask_predictor"] = detection.mask_rcnn.MaskRCNNPredictor(32, 16, 3)
    return _detector(kind, nn.BatchNorm2d, rpn_anchor_generator=ANCHORS, **options)


def _segmentation(kind: Any, head: Any) -> Any:
    backbone = tv._utils.IntermediateLayerGetter(tv.resnet18(), {"layer4": "out"})
    return kind(backbone, head(512, 4))


GROUPS = "groups=(3, 4)"
DETECTOR = "groups=(3, 4), block_size=3"
CELLS = 'where=Where("*cell_[0-9]*", last=0.5), block_size=11'
NECK = 'where=Where("backbone.fpn.layer_blocks.*", after="itself", skip=False), block_size=3'
HEAD = 'where=Where("classifier", skip=False), block_size=16, keep_prob=0.2'
MASK_HEAD = 'where=Where("roi_heads.mask_head", after="activation", skip=False), block_size=3'
DENSE_HEAD = 'where=Where("head.*.conv", skip=False), block_size=3'
DECODER = 'where=Where("decoder", skip=False), block_size=16, keep_prob=0.2'
NARROW = {"channels": (8, 16, 32, 64)}
SHORT = {**NARROW, "layers": [1, 1, 2, 1]}
NETWORKS = [
    Network("torchvision", "ResNet", tv.resnet18, GROUPS, 12),
    Network(
        "torchvision",
        "ResNeXt",
        partial(tv.ResNet, tv.resnet.Bottleneck, [1, 1, 2, 1], 4, groups=8, width_per_group=4),
        GROUPS,
        12,
    ),
    Network("torchvision", "RegNet", partial(tv.regnet_y_400mf, num_classes=4), GROUPS, 48),
    Network("timm", "ResNet", _timm("resnet18", **NARROW), GROUPS, 12),
    Network("timm", "SE-ResNet-D", _timm("seresnet50", avg_down=True, **SHORT), GROUPS, 12),
    Network("timm", "SKNet", _timm("skresnet18", **NARROW), GROUPS, 16),
    Network("timm", "ResNeSt", _timm("resnest14d", **NARROW), GROUPS, 8),
    Network("timm", "Res2Net", _timm("res2net50_26w_4s", **SHORT), GROUPS, 18),
    Network("timm", "ResNetV2", _timm("resnetv2_50", channels=(32, 64, 96, 128), layers=[1, 1, 2, 1]), GROUPS, 9),
    Network("timm", "RegNet", _timm("regnety_002"), GROUPS, 44),
    Network("timm", "CSPNet", _timm("cs3darknet_focus_s"), GROUPS, 21),
    Network("timm", "Darknet", _timm("darknet17"), GROUPS, 8),
    Network("timm", "NASNet-A", _timm("nasnetalarge", stem_size=8, num_features=96), CELLS, 139),
    Network("timm", "PNASNet-5", _pnasnet, CELLS, 90),
    Network("torchvision", "RetinaNet", partial(_one_stage, detection.RetinaNet, FROZEN), DETECTOR, 12),
    Network("torchvision", "FCOS", partial(_one_stage, detection.FCOS, nn.BatchNorm2d), DETECTOR, 12),
    Network("torchvision", "Faster R-CNN", partial(_two_stages, detection.FasterRCNN), DETECTOR, 12),
    Network("torchvision", "Mask R-CNN", partial(_two_stages, detection.MaskRCNN), NECK, 2),
    Network(
        "torchvision", "Mask R-CNN", partial(_two_stages, detection.MaskRCNN), MASK_HEAD, 2, pytest.mark.exhaustive
    ),
    Network("torchvision", "FCOS", partial(_one_stage, detection.FCOS, FROZEN), DENSE_HEAD, 8),
    Network("torchvision", "FCN", partial(_segmentation, segmentation.FCN, segmentation.fcn.FCNHead), HEAD, 1),
    Network(
        "torchvision",
        "DeepLabV3",
        partial(_segmentation, segmentation.DeepLabV3, segmentation.deeplabv3.DeepLabHead),
        HEAD,
        6,
    ),
    Network(
        "segmentation_models_pytorch",
        "U-Net",
        _smp("Unet", decoder_channels=(32, 16, 16, 8, 8)),
        GROUPS,
        12,
        pytest.mark.exhaustive,
    ),
    Network("segmentation_models_pytorch", "U-Net", _smp("Unet", decoder_channels=(32, 16, 16, 8, 8)), DECODER, 10),
    Network("segmentation_models_pytorch", "DeepLabV3+", _smp("DeepLabV3Plus", decoder_channels=32), DECODER, 8),
]


DOCUMENT = Path(__file__).parents[2] / "docs" / "placement.md"
COMMAND = "python -m tests.torch.networks"


def table() -> str:
    """The rows as docs/placement.md has them."""
    rows = [("Library", "Network", "`add_dropblock(model, ...)`", "Layers"), ("---", "---", "---", "---")]
    rows += [(n.library, n.name, f"`{n.call}`", str(n.layers)) for n in NETWORKS]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    write_generated(DOCUMENT, COMMAND, table())
