# SPDX-License-Identifier: Apache-2.0
"""Messages of arrays over a pipe: a line of JSON, then the bytes of the arrays that it lists (docs/worker.md)."""

import io
import json
import os
import sys
from collections.abc import Sequence
from math import prod
from typing import IO, Any

import numpy as np

from dropblock_conformance.judging.answers import BadOutputError
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.subject import Array

PROTOCOL = 1
LONGEST_LINE = 2**24
MOST_BYTES = 2**29  # more than three times the largest question, that of scale.large in float64
Message = tuple[dict[str, Any], list[Array]]


class ProtocolError(Exception):
    """What came over the pipe is no message."""


def send(pipe: IO[bytes], header: dict[str, Any], arrays: Sequence[Array] = ()) -> None:
    pipe.writelines(encoded(header, arrays))
    pipe.flush()


def encoded(header: dict[str, Any], arrays: Sequence[Array] = ()) -> list[bytes]:
    """A message in parts.

    Raises:
        BadOutputError: an array is none, or has no bytes of its own.
    """
    for array in arrays:
        if not isinstance(array, np.ndarray):
            raise BadOutputError(f"returned {type(array).__name__}, not a NumPy array")
        if array.dtype.hasobject:
            raise BadOutputError(f"returned dtype {array.dtype}, which is not of a floating type")
    about = [{"dtype": array.dtype.name, "shape": array.shape} for array in arrays]
    line = json.dumps({**header, "arrays": about}).encode() + b"\n"
    return [line, *(_little_endian(array).tobytes() for array in arrays)]


def receive(pipe: IO[bytes]) -> Message | None:
    """The next message; None at the end.

    Raises:
        ProtocolError: a line that is no JSON object, or fewer bytes than it says.
    """
    line = pipe.readline(LONGEST_LINE + 1)
    if not line:
        return None
    if len(line) > LONGEST_LINE:
        raise ProtocolError(f"a line of more than {LONGEST_LINE:,} bytes, which begins with {line[:80]!r}")
    try:
        header = json.loads(line)
        about = [(dtype_named(part["dtype"]), _shape(part["shape"])) for part in header.pop("arrays", ())]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ProtocolError(f"expected a line of JSON with an object, got {line[:80]!r} ({error})") from error
    arrays = []
    if (total := sum(dtype.itemsize * prod(shape) for dtype, shape in about)) > MOST_BYTES:
        raise ProtocolError(f"arrays of {total:,} bytes were announced, more than any question has")
    for dtype, shape in about:
        size = dtype.itemsize * prod(shape)
        data = pipe.read(size)
        if len(data) < size:
            raise ProtocolError(f"{size} bytes were announced for an array of {dtype} {shape}, {len(data)} came")
        try:
            arrays.append(_little_endian(np.frombuffer(data, dtype).reshape(shape)).copy())
        except ValueError as error:  # of objects, say
            raise ProtocolError(f"no array can be had of {dtype} {shape}: {error}") from error
    return header, arrays


def pipes() -> tuple[IO[bytes], IO[bytes]]:
    """This process's questions and answers, out of reach of its libraries: these read nothing, and print to stderr."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what is printed is there even if the process dies
    return questions, answers


def _shape(said: list[int]) -> tuple[int, ...]:
    if not all(isinstance(length, int) and length >= 0 for length in said):
        raise ValueError(f"a shape of {said}")
    return tuple(said)


def _little_endian(array: Array) -> Array:
    """The same values, their bytes swapped where these are big-endian."""
    return array if array.dtype.isnative == (sys.byteorder == "little") else array.byteswap()
