"""Several replicas (rules R8 and R13): their masks, and what line 8 counts over; all in one process, started once."""

import subprocess
import sys

import pytest

from tests.shared.running import ROOT

CHECKS = [
    "each_draws_a_mask_of_its_own",
    "a_seed_alone_gives_all_the_same_mask",
    "sample_offset_gives_the_masks_of_the_whole_batch",
    "line_8_counts_on_each_replica",
    "line_8_counts_over_all_replicas",
    "one_without_samples_takes_part_in_the_count",
    "one_with_keep_prob_1_takes_part_and_gets_its_activations_back",
    "a_generator_of_the_strategy_s_own_differs_between_replicas",
    "importing_the_adapter_imports_no_other_framework",
]


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What the process says of each check."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.tf.replicas", *CHECKS],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return dict(line.split(" ", 1) for line in run.stdout.splitlines() if line.split(" ", 1)[0] in CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_two_replicas(said: dict[str, str], check: str) -> None:
    assert said[check] == "passed"
