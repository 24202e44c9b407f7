# SPDX-License-Identifier: Apache-2.0
"""Algorithm 1 of the paper, line by line, in explicit loops: the ground truth.

Read it beside the paper: each numbered comment is a line of Algorithm 1 as printed, in its order, and the code below
it does that line. Nothing here is fast. Everything else in this project has to agree with it bit for bit.
"""

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from dropblock_core import validate

Array = npt.NDArray[Any]


def algorithm1(
    a: Array,
    block_size: int | tuple[int, ...],
    gamma: float,
    mode: str,
    seeds: npt.NDArray[np.bool_] | np.random.Generator,
) -> Array:
    """Algorithm 1: DropBlock with one mask per channel, renormalised by the count over the whole tensor.

    Args:
        a: output activations of a layer, ``[samples, channels, *spatial]``, one to three spatial axes, floating point.
        block_size: side of the block, or one side per spatial axis. A side longer than its axis is clipped (rule R3).
        gamma: probability in [0, 1] that an anchor is a seed; Eq. (1) computes it, see :func:`dropblock_core.gamma`.
        mode: ``"training"`` or ``"inference"``, in any case.
        seeds: what line 5 sampled, True = a seed, bool ``[samples, channels, *(feat_size - block_size + 1)]`` as
            :func:`dropblock_core.sample_seeds` returns; or a NumPy Generator, from which line 5 samples here.

    Returns:
        ``a`` itself in inference, otherwise a new array of its shape and dtype.

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it.

    >>> a = np.ones((1, 1, 4, 4), np.float32)
    >>> seeds = np.zeros((1, 1, 3, 3), bool)
    >>> seeds[0, 0, 1, 0] = True
    >>> algorithm1(a, 2, 0.1, "training", seeds)[0, 0]
    array([[1.3333334, 1.3333334, 1.3333334, 1.3333334],
           [0.       , 0.       , 1.3333334, 1.3333334],
           [0.       , 0.       , 1.3333334, 1.3333334],
           [1.3333334, 1.3333334, 1.3333334, 1.3333334]], dtype=float32)
    """
    # 1: Input: output activations of a layer (A), block_size, gamma, mode
    samples, channels, *feat_size = validate.activations(validate.array(a, "a").shape, a.dtype, name="a")
    block = validate.block_sides(block_size, feat_size)
    gamma = validate.probability("gamma", gamma)
    mode = validate.mode(mode)
    valid = tuple(f - b + 1 for f, b in zip(feat_size, block, strict=True))  # Fig. 2(a): the shaded green region
    if not isinstance(seeds, np.random.Generator):
        seeds = validate.seed_array(seeds, (samples, channels, *valid))

    # 2: if mode == Inference then
    if mode == "inference":
        # 3: return A
        return a
    # 4: end if

    # 5: Randomly sample mask M: M_ij ~ Bernoulli(gamma)
    #    As printed this contradicts Fig. 2 and Eq. (1), where a *zero* has probability gamma (rule R5): a seed is a
    #    zero of M. Only anchors in the shaded region are sampled, so that every block lies inside the map (rule R4).
    seed_list = []
    for n, c in product(range(samples), range(channels)):
        for anchor in product(*(range(v) for v in valid)):
            is_seed = seeds.random() < gamma if isinstance(seeds, np.random.Generator) else seeds[(n, c, *anchor)]
            if is_seed:
                seed_list.append((n, c, anchor))

    # 6: For each zero position M_ij, create a spatial square mask with the center being M_ij, the width, height being
    #    block_size and set all the values of M in the square to be zero (see Figure 2).
    #    An anchor names its block by the first (top-left) unit instead of the centre: the same set of blocks.
    m = np.ones(a.shape, bool)
    for n, c, anchor in seed_list:
        for offset in product(*(range(b) for b in block)):
            unit = tuple(i + o for i, o in zip(anchor, offset, strict=True))
            m[(n, c, *unit)] = False

    # 7: Apply the mask: A = A x M
    #    A dropped unit is exactly +0, whatever it held: NaN x 0 would be NaN (rule R7).
    masked = np.zeros_like(a)
    for unit in np.ndindex(*a.shape):
        if m[unit]:
            masked[unit] = a[unit]

    # 8: Normalize the features: A = A x count(M) / count_ones(M)
    #    In float32 (float64 for float64), rounded once to the type of A (rule R9); nothing kept gives zeros (rule R10).
    count, count_ones = m.size, int(m.sum())
    wide = np.result_type(a.dtype, np.float32)
    scale = wide.type(count / count_ones if count_ones else 0.0)
    for unit in np.ndindex(*a.shape):
        masked[unit] = wide.type(masked[unit]) * scale
    return masked
