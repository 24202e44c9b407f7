"""Other people's DropBlocks deviate as their subjects declare, and one line shows each deviation without this suite."""

import contextlib
import importlib
import io
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dropblock_conformance import Deviation, Outcome, Subject, certify
from dropblock_conformance.checks import all_checks, find
from dropblock_conformance.checks.events import UNTOUCHED
from dropblock_conformance.judging.profile import PROFILES

from ..support import measured

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*random_binomial. is deprecated:UserWarning")  # Keras 2 of itself

SUBJECTS = "dropblock_conformance.subjects.third_party."
# By subject: its module, the attribute that makes it, and the package that must be installed.
THIRD_PARTY = {
    "miguelvr": ("miguelvr", "candidate", "dropblock"),
    "torchvision": ("torchvision_ops", "candidate", "torchvision"),
    "timm": ("timm_layer", "candidate", "timm"),
    "timm-per-channel": ("timm_layer", "per_channel", "timm"),
    "torchregularize": ("torchregularize", "candidate", "torchregularize"),
    "pylocron": ("pylocron", "candidate", "holocron"),
    "glasses": ("glasses", "candidate", "glasses"),
    "pytorch-toolbelt": ("pytorch_toolbelt", "candidate", "pytorch_toolbelt"),
    "mmdet": ("mmdet", "candidate", "mmdet"),
    "keras-cv": ("keras_cv", "candidate", "keras_cv"),
    "keras-drop-block": ("keras_drop_block", "candidate", "keras_drop_block"),
    "paddledet": ("paddledet", "candidate", "ppdet"),
    "timm-1.0.22": ("timm_1_0_22", "candidate", "timm"),
    "timm-1.0.22-exact": ("timm_1_0_22", "exact", "timm"),
}
# Those of the development environment, which `make test` looks at; the others need an environment of their own.
DEVELOPMENT = ("torchvision", "miguelvr", "timm")
USUAL = DEVELOPMENT[:1]  # `make conformance` judges miguelvr, and `make matrix` all of them


def named(names: Iterable[str]) -> list[Any]:
    """These subjects as parameters, one of them in a usual run."""
    return [name if name in USUAL else pytest.param(name, marks=pytest.mark.exhaustive) for name in names]


DRAWN = ("law.drawn", "law.everywhere", "law.special")
FINE = (Outcome.CONFORMS, Outcome.DECLARED, Outcome.NOT_APPLICABLE)
EXACT = [id for id, check in all_checks().items() if not check.tests(PROFILES["quick"])]
# By chance these may conform at another seed.
BY_CHANCE = {
    "keras-cv": {"scale.float16", "scale.bfloat16"},
}
# One process has one Keras, and some registers bear a name only once.
OWN_PROCESS = ("mmdet", "keras_cv", "keras_drop_block", "paddledet")


def module_of(name: str) -> ModuleType:
    module, _, package = THIRD_PARTY[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    environment = dict(os.environ)
    try:
        with warnings.catch_warnings(action="ignore"):  # as others import what they need
            return importlib.import_module(SUBJECTS + module)
    except RuntimeError as error:  # another version, or another Keras
        pytest.skip(str(error))
    finally:  # what a module asked of Keras is not for the processes of other tests
        os.environ.clear()
        os.environ.update(environment)


def candidate_of(name: str) -> tuple[Subject, list[Deviation]]:
    found: tuple[Subject, list[Deviation]] = getattr(module_of(name), THIRD_PARTY[name][1])()
    return found


def require_as_declared(name: str, checks: list[str] | None, profile: str = "quick", seed: int = 0) -> set[str]:
    """The ids of the checks that deviate as declared; any other outcome that is not fine fails."""
    subject, expect = candidate_of(name)
    report = certify(subject, profile=profile, seed=seed, expect=expect, checks=checks)
    assert {r.id: (r.outcome, r.summary) for r in report.results if r.outcome not in FINE} == {}
    return {r.id for r in report.results if r.outcome == Outcome.DECLARED}


@pytest.mark.parametrize("name", named(DEVELOPMENT))
def test_a_third_party_layer_deviates_just_as_declared(name: str) -> None:
    _, expect = candidate_of(name)
    assert require_as_declared(name, None, "small") == {deviation.check for deviation in expect}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in THIRD_PARTY if name != "timm-per-channel"])
def test_a_third_party_layer_deviates_just_as_declared_where_a_user_looks(name: str) -> None:
    _, expect = candidate_of(name)
    assert require_as_declared(name, None) == {deviation.check for deviation in expect}


@pytest.mark.exhaustive
def test_timm_per_channel_deviates_as_timm_does() -> None:
    require_as_declared("timm-per-channel", [*EXACT, "law.paper", "independence.channels"])


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in THIRD_PARTY if name != "timm-per-channel"])
def test_what_is_declared_repeats_with_another_seed(name: str) -> None:
    left_out = {"scale.large", *BY_CHANCE.get(name, ())}  # the one for its time
    require_as_declared(name, [id for id in (*EXACT, "law.paper", "law.full_map") if id not in left_out], seed=1)


def printed_by(command: str, own_process: bool) -> str:
    """What a one-line reproduction prints."""
    program = command.removeprefix('python -c "').removesuffix('"')
    assert f'python -c "{program}"' == command
    assert not re.search(r'[\n"$`\\]', program)  # a shell passes it on as it is
    if own_process:
        answer = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
        return answer.stdout.splitlines()[-1] if answer.stdout else answer.stderr.strip().rsplit("\n", 1)[-1]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(program, {})
    return output.getvalue().strip()


def effects(check: str, subject: Subject, share: float) -> list[float]:
    """The effects that a share may stand for, by the events of a law's check."""
    (law,) = measured(*find([check]), subject)
    return [event.effect(share) for measure in law.measures for event in measure.events]


SCHEDULES = {  # what is printed, where the paper has 0.5, 0.5, and 0 before the first step
    ("miguelvr", "schedule.ends"): 0.0,
    ("pytorch-toolbelt", "schedule.ends"): 0.45,
    ("pytorch-toolbelt", "schedule.linear"): 0.45,
    ("pytorch-toolbelt", "schedule.training_calls"): 0.1,
    ("mmdet", "schedule.ends"): 0.05,
    ("mmdet", "schedule.linear"): 0.05,
    ("mmdet", "schedule.training_calls"): 0.15,
}


def require_shown(name: str, subject: Subject, deviation: Deviation, printed: str) -> None:
    check = deviation.check
    if deviation.raises is not None:
        assert str(deviation.raises) in printed
    elif check.startswith("schedule."):
        assert float(printed) == pytest.approx(SCHEDULES[name, check])
    elif check.startswith("law."):
        low, high = deviation.effect
        seen = [effect for effect in effects(check, subject, float(printed)) if low <= effect <= high]
        assert seen
        assert max(map(abs, seen)) > 0.03  # twice what chance makes of that many maps
    else:
        assert 0.01 < float(printed) <= 1  # of the units; the paper has none


@pytest.mark.parametrize("name", named(THIRD_PARTY))
def test_one_line_shows_each_deviation_with_the_library_alone(name: str) -> None:
    subject, expect = candidate_of(name)
    commands = {deviation.check: deviation.reproduce or "" for deviation in expect}
    assert not any("dropblock_conformance" in command or "dropblock_core" in command for command in commands.values())
    printed: dict[str, str] = {}
    for deviation in expect:
        command = commands[deviation.check]
        if deviation.check in DRAWN:
            assert command in commands.values()
            continue
        if command not in printed:
            printed[command] = printed_by(command, THIRD_PARTY[name][0] in OWN_PROCESS)
        require_shown(name, subject, deviation, printed[command])


def test_the_same_lines_find_nothing_wrong_with_a_right_layer() -> None:
    """So what they print of others is the others' doing."""
    from dropblock_conformance.subjects.ours.torch_eager import candidate
    from dropblock_conformance.subjects.third_party import deviations, reproduce

    of_sides = ("law.non_square", "law.wide", "law.tall", "law.float16", "law.bfloat16")
    events = {"law.wide": "units 36 to 69 of a row all kept", "law.tall": "units 36 to 69 of a column all kept"}
    others: deviations.Law = {check: (events.get(check, UNTOUCHED), (0, 0)) for check in of_sides}
    laws = [deviations.WHOLE_MAP, deviations.P_OVER_AREA, others]
    everything = [
        deviations.OVER_THE_BORDER,
        Deviation("mask.clipped", "as above", (0, 1)),
        Deviation("mode.keep_prob_one", "as above", (0, 1)),
        *deviations.MULTIPLIED,
        *deviations.OUT_OF_RANGE,
        *deviations.nothing_kept("as above"),
        *deviations.rounding("as above"),
    ]
    layer = "DropBlock2d(1 - {p}, {b})"
    commands: dict[tuple[str, str], None] = {}
    for law in [*laws, {"scale.float16": deviations.LOST_IN_FLOAT16["scale.float16"]}]:
        lines = reproduce.torch_lines("from dropblock_torch import DropBlock2d", layer, everything, law)
        commands |= dict.fromkeys(lines.items())
    subject = candidate()
    for check, command in commands:
        if check in DRAWN:
            continue
        np.random.seed(0)  # noqa: NPY002 - which the layer's own seeds come from
        share = float(printed_by(command, own_process=False))
        if check.startswith("law."):
            # Five standard errors of the effect, at most, for every event and number of maps here.
            assert min(map(abs, effects(check, subject, share))) < 0.06, (check, share)
        elif "y == 0).float().mean()" in command:
            assert share < 0.15, (check, share)  # 9.8% should be dropped, and all is not lost
        else:
            # Rule R9 leaves the factor 2 ulp of float32, which tells in half precision once in a thousand.
            assert share <= (0.001 if check.startswith(("scale.", "gradient.scale")) else 0), (check, share)
