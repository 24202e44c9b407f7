# SPDX-License-Identifier: Apache-2.0
"""The refusals (rule R14): each names the argument, its value, the rule and the remedy, before anything is drawn.

Every front door of every backend checks its arguments here, so a mistake gets the same message everywhere.
"""

import math
import operator
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from dropblock_core import arrays

DATA_FORMATS = ("channels_last", "channels_first")
RENORMS = ("tensor", "sample", "map", "expected", "none")
WORD = 2**32
LONGEST = 200  # characters of a value in a message
_OF_A_BYTE = re.compile("float[468]_")  # float8_e4m3fn, float6_e2m3fn, float4_e2m1fn and the like
# What other libraries call the probability of dropping.
DROP_KEYWORDS = ("p", "drop_prob", "dropout_prob", "drop_rate", "rate")


def shown(name: str, value: Any) -> str:
    """An argument and its value for a message: on one line, and cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no int of more than 4,300 digits
        text = f"a {type(value).__name__} too long to write"
    return f"{name}={text}" if len(text) <= LONGEST else f"{name}={text[:LONGEST]}..."


def is_zero_d(value: Any, *kinds: str) -> bool:
    """Whether `value` is an array of one element, 0-d, and its dtype's name holds one of `kinds`."""
    kind = str(getattr(value, "dtype", ""))
    is_masked = isinstance(value, np.ma.MaskedArray)  # NumPy would read what the mask hides
    return getattr(value, "ndim", None) == 0 and any(word in kind for word in kinds) and not is_masked


def flag(name: str, value: Any) -> bool:
    """`value` as a bool; TypeError unless it is one by type (a 0-d array of one counts): "False" would be true."""
    if isinstance(value, bool):
        return value
    rule = f"{name} must be True or False itself; nothing is converted, since the text 'False' would count as True"
    if not is_zero_d(value, "bool") and type(value).__name__ != "SymBool":  # the latter is a compiler's
        raise TypeError(f"{shown(name, value)} is not a bool: {rule}")
    try:
        return bool(value)
    except Exception:  # each library has its own
        raise TypeError(f"{shown(name, value)} has no value yet, as the program is traced: {rule}") from None


def real(name: str, value: Any, rule: str) -> float:
    """`value` as a float; TypeError unless it is one real number (a 0-d array of numbers counts)."""
    if type(value) is float:  # inside a compiler it may be symbolic, and has no attributes then
        return value
    if type(value) is not int:  # an int may be symbolic too
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not (is_number or is_zero_d(value, "int", "float")):
            raise TypeError(f"{shown(name, value)} is not a real number: {rule}")
    try:
        return float(value)
    except OverflowError:  # an int too large for a float is larger than any bound
        return math.inf if value > 0 else -math.inf
    except Exception:  # each library has its own error for an array without a value
        raise TypeError(f"{shown(name, value)} is not a real number that the host can read: {rule}") from None


def is_per_axis(value: Any) -> bool:
    """Whether `value` holds one value an axis, and not one for all."""
    if isinstance(value, int):  # a symbolic int has no attributes either
        return False
    is_sequence = isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
    return is_sequence or getattr(value, "ndim", 0) > 0


def per_axis(value: Any, rank: int) -> tuple[Any, ...]:
    """One value an axis: a sequence as it is, anything else for each of `rank` axes."""
    return tuple(value) if is_per_axis(value) else (value,) * rank


def integer(name: str, value: Any, rule: str) -> int:
    """`value` as an int; TypeError unless it is a whole number by type (7.0 and True are not)."""
    if type(value) is int:
        return value
    try:
        if isinstance(value, (bool, np.ma.MaskedArray)) or "bool" in str(getattr(value, "dtype", "")):
            raise TypeError
        return operator.index(value)
    except Exception:  # each library has its own error for an array that is no integer, or has no value
        raise TypeError(f"{shown(name, value)} is not an integer: {rule}") from None


def probability(name: str, value: Any) -> float:
    """A number in [0, 1], not NaN."""
    hint = "; it is the probability to keep, so a drop probability d is keep_prob=1-d" if name == "keep_prob" else ""
    rule = f"{name} must be a number in [0, 1]{hint}"
    number = real(name, value, rule)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{shown(name, value)} is outside [0, 1]: {rule}")
    return number


def gamma_scale(value: Any, *, calibrated: bool = False) -> float:
    """A finite number >= 0; with ``calibrated=True`` only 1, since the two contradict each other."""
    rule = "gamma_scale multiplies Eq. (1) and must be finite and at least 0; leave it at 1.0 for the paper's gamma"
    calibrated = flag("calibrated", calibrated)
    number = real("gamma_scale", value, rule)
    if not 0.0 <= number < math.inf:
        raise ValueError(f"{shown('gamma_scale', value)} is not finite and at least 0: {rule}")
    if calibrated and number != 1.0:
        raise ValueError(
            f"{shown('gamma_scale', value)} with calibrated=True: the calibrated gamma is solved from keep_prob and "
            "leaves nothing to scale; pass one or the other (a larger keep_prob drops less)"
        )
    return number


def feat_sizes(value: Any) -> tuple[int, ...]:
    """Sizes of one to three spatial axes, each at least 1. One int is the paper's square map."""
    rule = "feat_size is one int for a square map, or one int per spatial axis (1 to 3), each at least 1"
    sizes = tuple(integer("feat_size", f, rule) for f in per_axis(value, 2))
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise ValueError(f"{shown('feat_size', value)}: {rule}")
    return sizes


def block_option(value: Any, rank: int) -> tuple[int, ...]:
    """The block's side for each of `rank` axes, before a map clips it."""
    rule = f"block_size must be an int of at least 1, or one such int for each of the {rank} spatial axes"
    sides = tuple(integer("block_size", b, rule) for b in per_axis(value, rank))
    if len(sides) != rank:
        raise ValueError(f"{shown('block_size', value)} has {len(sides)} sides for {rank} spatial axes: {rule}")
    if min(sides) < 1:
        raise ValueError(f"{shown('block_size', value)} is below 1: {rule}; block_size=1 is dropout")
    return sides


def block_size(value: Any, rank: int) -> int | tuple[int, ...]:
    """block_size as it was given, in plain Python, for a layer to keep: nobody can change it from outside."""
    sides = block_option(value, rank)
    return sides if is_per_axis(value) else sides[0]


def clipped(sides: Sequence[int], feat_size: Sequence[int]) -> tuple[int, ...]:
    """The block's sides, no longer than the map's (rule R3)."""
    return tuple(min(b, f) for b, f in zip(sides, feat_size, strict=True))


def block_sides(value: Any, feat_size: Sequence[int]) -> tuple[int, ...]:
    """The block's side for each axis of `feat_size`, clipped to the map."""
    return clipped(block_option(value, len(feat_size)), feat_size)


def renorm(value: Any) -> str:
    """One of the scopes of line 8's count (rule R8)."""
    if not isinstance(value, str) or value not in RENORMS:
        raise ValueError(f"{shown('renorm', value)} is unknown: choose one of {', '.join(map(repr, RENORMS))}")
    return str(value)


def options(
    block_size: Any, rank: int, scope: Any, scale: Any, *, calibrated: bool
) -> tuple[tuple[int, ...], str, float]:
    """The block's sides, renorm and gamma_scale: what calls and layers check alike, in this order."""
    return block_option(block_size, rank), renorm(scope), gamma_scale(scale, calibrated=calibrated)


def data_format(value: Any, custom_of: str | None = None) -> str:
    """Where the channels are; `custom_of` names the framework whose custom is channels last."""
    if not isinstance(value, str) or value not in DATA_FORMATS:
        last, first = (f" (NHWC, {custom_of}'s custom)", " (NCHW)") if custom_of else ("", "")
        raise ValueError(
            f"{shown('data_format', value)} is unknown: choose 'channels_last'{last} or 'channels_first'{first}"
        )
    return str(value)


def one_source(**sources: Any) -> None:
    """Raise where more than one of the `sources` of a mask's randomness is given."""
    given = {name: value for name, value in sources.items() if value is not None}
    if len(given) > 1:
        named = " and ".join(shown(name, value) for name, value in given.items())
        raise ValueError(f"{named} were both given: the mask comes from one of them, drop the other")


def mode(value: Any) -> str:
    """Algorithm 1's mode, in lower case."""
    if not isinstance(value, str) or value.lower() not in ("training", "inference"):
        raise ValueError(f"{shown('mode', value)} is unknown: Algorithm 1 has the modes 'training' and 'inference'")
    return value.lower()


def seed_word(value: Any) -> int:
    """A seed: 64 bits."""
    rule = "a seed is an int in [0, 2^64); reduce a larger one yourself, it is never wrapped"
    seed = integer("seed", value, rule)
    if not 0 <= seed < 2**64:
        raise ValueError(f"{shown('seed', value)} is outside [0, 2^64): {rule}")
    return seed


def counter_word(name: str, value: Any, *, span: int = 0) -> int:
    """A word of Philox's counter: `stream`, or `sample_offset`, whose last sample must fit as well."""
    rule = f"{name} is an int in [0, 2^32)" + (", and so is the number of the batch's last sample" if span else "")
    rule += "; it is a word of the generator's counter and is never wrapped"
    word = integer(name, value, rule)
    if word < 0 or word + max(span, 1) > WORD:
        span_text = f" with a batch of {span}" if span else ""
        raise ValueError(f"{shown(name, value)}{span_text} does not fit in 32 bits: {rule}")
    return word


def at_least_0(name: str, value: Any, rule: str) -> int:
    """`value` as an int, not negative."""
    number = integer(name, value, rule)
    if number < 0:
        raise ValueError(f"{shown(name, value)} is negative: {rule}")
    return number


def size(name: str, value: Any) -> int:
    """The length of an axis."""
    return at_least_0(name, value, f"{name} is the length of an axis, an int of at least 0")


def steps(value: Any) -> int:
    """The length of a schedule."""
    rule = "steps is the number of training steps to reach keep_prob, at least 0; steps=0 holds keep_prob throughout"
    number = at_least_0("steps", value, rule)
    if number >= 2**63:
        raise ValueError(f"{shown('steps', value)} is beyond 2^63: {rule}")
    return number


def is_real_floating(dtype: Any) -> bool:
    """Whether `dtype` (of any array library) is a real floating type, bfloat16 included."""
    if isinstance(dtype, np.dtype):
        # NumPy does not know the family of ml_dtypes' types: bfloat16 is of kind 'V'.
        return dtype.kind == "f" or (dtype.names is None and "float" in dtype.name)
    return "float" in str(dtype) and "complex" not in str(dtype)


def activations(shape: Sequence[int], dtype: Any, *, channels_last: bool = False, name: str = "x") -> tuple[int, ...]:
    """The shape of the activations, ``(samples, channels, *spatial)`` with one to three spatial axes, none empty."""
    sizes = tuple(shape)
    layout = "[samples, *spatial, channels]" if channels_last else "[samples, channels, *spatial]"
    rule = f"activations are {layout} with 1, 2 or 3 spatial axes"
    if not 3 <= len(sizes) <= 5:
        raise ValueError(f"{name} has shape {sizes}: {rule}; add an axis for a single sample, as in {name}[None]")
    if not is_real_floating(dtype):
        raise TypeError(
            f"{name} has dtype {dtype}: DropBlock scales what it keeps, so {name} must be of a real floating type"
        )
    if _OF_A_BYTE.search(str(dtype)):
        raise TypeError(
            f"{name} has dtype {dtype}, which is too narrow for line 8's product: convert it, as to bfloat16"
        )
    samples, channels, *feat = (sizes[0], sizes[-1], *sizes[1:-1]) if channels_last else sizes
    if min(feat) < 1:
        raise ValueError(
            f"{name} has shape {sizes}, with an empty spatial axis: each spatial axis needs at least one unit"
        )
    return (samples, channels, *feat)


def seed_array(seeds: Any, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Seeds as :func:`dropblock_core.sample_seeds` returns them: bool, of exactly `shape`."""
    array = np.asarray(seeds)
    if array.dtype != np.bool_:
        raise TypeError(f"seeds has dtype {array.dtype}: seeds are bool, True where a block starts")
    if array.shape != shape:
        raise ValueError(
            f"seeds has shape {array.shape}: it must be [samples, maps, *(feat_size - block_size + 1)] = {list(shape)}"
        )
    return array


def no_foreign_keywords(keywords: Mapping[str, Any], caller: str = "drop_block") -> None:
    """Other libraries' keywords raise with the translation into ours."""
    for name, value in keywords.items():
        if name not in DROP_KEYWORDS:
            raise TypeError(f"{caller}() got an unexpected keyword argument {name!r}")
        keep = "1 - " + name
        if isinstance(value, Real) and 0 <= value <= 1:  # type: ignore[operator]  # its types give Real no order
            keep = f"{1 - float(value):.6g}"
        raise TypeError(
            f"{caller}() takes no {name!r}: it takes the probability of keeping, as the paper does; "
            f"pass keep_prob={keep} for {shown(name, value)}"
        )


def generator(rng: Any) -> Any:
    """A NumPy Generator (or the older RandomState), or None."""
    if rng is not None and not isinstance(rng, (np.random.Generator, np.random.RandomState)):
        raise TypeError(
            f"{shown('rng', rng)} is a {type(rng).__name__}: pass a NumPy Generator, as np.random.default_rng() makes, "
            "or seed= for a fixed mask"
        )
    return rng


def array(x: Any, name: str = "x") -> Any:
    """`x`, if it is an array of a library that array-api-compat knows."""
    if not arrays.is_array(x):
        raise TypeError(
            f"{name} is a {type(x).__name__}: pass an array (NumPy, or any array-API library), e.g. np.asarray({name})"
        )
    return unmasked(x, name)


def unmasked(x: Any, name: str = "x") -> Any:
    """`x`, which is no masked array of NumPy's."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a MaskedArray: DropBlock has no use for its mask, and would lose it; pass {name}.filled(0)"
        )
    return x
