"""The images that the training examples share, as NumPy arrays.

Fashion-MNIST comes with Debian's package dataset-fashion-mnist. Where that is not installed, scikit-learn's handwritten
digits serve, enlarged to the same size.
"""

import gzip
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

DATA = "/usr/share/datasets/fashion-mnist"  # of Debian's package
DEFAULT = DATA if Path(DATA).is_dir() else "digits"
Images = tuple[NDArray[np.uint8], NDArray[np.int64]]  # [n, 28, 28], and their classes [n]


def load_images(data: str, limit: int) -> tuple[Images, Images]:
    """Those to train with, so many at most, and those to test with: "digits", or a folder of MNIST's files."""
    try:
        training, test = digits() if data == "digits" else (read(Path(data), "train"), read(Path(data), "t10k"))
    except (OSError, EOFError, ValueError) as error:
        remedy = "`apt install dataset-fashion-mnist`, or pass --data digits"
        raise click.UsageError(f"--data {data} cannot be read ({error}): {remedy}") from error
    return (training[0][:limit], training[1][:limit]), test


def read(folder: Path, part: str) -> Images:
    """The images of a part, "train" or "t10k", in the format of MNIST's files."""
    arrays = []
    for name, header in ((f"{part}-images-idx3-ubyte.gz", 16), (f"{part}-labels-idx1-ubyte.gz", 8)):
        with gzip.open(folder / name) as file:
            arrays.append(np.frombuffer(file.read(), np.uint8, offset=header))
    return arrays[0].reshape(-1, 28, 28), arrays[1].astype(np.int64)


def digits() -> tuple[Images, Images]:
    """1,437 images of 8x8 to train with and 360 to test with, enlarged to 28x28."""
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    # Bilinear: unit i lies at (4 i - 5) / 14 on the small axis. In integers, so that every machine gets the same bytes.
    places = np.clip(4 * np.arange(28) - 5, 0, 7 * 14)
    weights = np.maximum(0, 14 - abs(places[:, None] - 14 * np.arange(8)))
    large = weights @ images.astype(np.int64).reshape(-1, 8, 8) @ weights.T * 255 // (14 * 14 * 16)
    large = large.astype(np.uint8)
    return (large[:1437], classes[:1437]), (large[1437:], classes[1437:])
