"""Mutants of an adversary: each with one named fault and a cause, none with a check that is meant to kill it."""

from tests.mutants.wild import calls, dropped_numbers, kept_numbers, large_batches, memory, pairs, scopes, seeds, states

FAMILIES = (large_batches, scopes, kept_numbers, dropped_numbers, memory, pairs, calls, seeds, states)

__all__ = ["FAMILIES"]
