"""Mutants of an adversary: each with one named fault and a cause, none with a check that is meant to kill it."""

from tests.mutants.wild import (
    blocks,
    calls,
    dropped_numbers,
    formulas,
    gammas,
    gradient_values,
    inference_bits,
    kept_numbers,
    large_batches,
    long_schedules,
    memory,
    pairs,
    positions,
    scopes,
    seeds,
    states,
)

FAMILIES = (
    *(large_batches, scopes, kept_numbers, dropped_numbers, memory),
    *(pairs, calls, seeds, states),
    *(gammas, formulas, positions, blocks),
    *(gradient_values, inference_bits, long_schedules),
)

__all__ = ["FAMILIES"]
