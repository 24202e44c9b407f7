"""What Hypothesis draws: maps and blocks of every kind, seeds, probabilities."""

from collections.abc import Sequence

from hypothesis import strategies as st

from dropblock_core.stream import Segments

WORD = 2**32

SEEDS = st.integers(0, 2**64 - 1)
STREAMS = st.sampled_from([0, 1, WORD - 1]) | st.integers(0, WORD - 1)

# 2^-40 and 2^-33 both round to t = 1, the smallest; 1 - 2^-40 rounds to 2^32, which is certainty.
GAMMAS = st.sampled_from([0.0, 2.0**-40, 2.0**-33, 0.5, 1 - 2.0**-40, 1.0]) | st.floats(0, 1)


def offsets(samples: int) -> st.SearchStrategy[int]:
    """Numbers of the first of `samples` samples, up to the last one that 32 bits hold."""
    last = WORD - max(samples, 1)
    return st.sampled_from([0, 2**31, last]) | st.integers(0, last)


@st.composite
def geometries(draw: st.DrawFn, largest_row: int = 100) -> Segments:
    """A map of rank 1, 2 or 3 and a block that fits it.

    Rows are short enough to pack, or longer than one word, or than two; literal loops stay affordable.
    """
    feat = draw(
        st.one_of(
            st.tuples(st.integers(1, largest_row)),
            st.tuples(st.integers(1, 9), st.integers(1, largest_row)),
            st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, largest_row // 2)),
        )
    )
    return Segments.of(feat, tuple(draw(st.integers(1, f)) for f in feat))


def clipped(feat: Sequence[int], block: Sequence[int]) -> Segments:
    """The segments of a map for a block that may exceed it (rule R3)."""
    return Segments.of(feat, tuple(min(f, b) for f, b in zip(feat, block, strict=True)))
