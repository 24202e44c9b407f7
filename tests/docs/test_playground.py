"""docs/playground/ computes what NumPy does, bit for bit: in headless Chromium, where there is one."""

import json
import math
import random
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dropblock_core import LinearSchedule, block_mask, gamma, keep_map, sample_seeds
from dropblock_core.stream import Segments, threshold_word, thresholds
from tests.shared.chromium import answer_of, needs_chromium
from tests.shared.golden import GOLDEN
from tests.shared.strategies import WORD

pytestmark = needs_chromium

ROOT = Path(__file__).parents[2]
PLAYGROUND = ROOT / "docs" / "playground"
ARITHMETIC = [PLAYGROUND / f"{n}.js" for n in ("philox", "stream", "gamma", "law", "mask", "schedule", "formulations")]
DRAWN = 1000
ON_WHOLE_MAP = ("full-map", "one-factor", "twice")  # layers whose seeds fall anywhere

Case = dict[str, Any]


def drawn_case(draw: random.Random) -> Case:
    """Maps of one to three axes, with rows that are packed and rows that are cut, and blocks that may exceed them."""
    largest = draw.choice([(100,), (9, 100), (20, 20), (4, 5, 40)])
    feat = [draw.randint(1, size) for size in largest]
    return {
        "seed": str(draw.choice([0, 2**32 - 1, 2**64 - 1, *(draw.getrandbits(64) for _ in range(5))])),
        "samples": draw.randint(1, 2),
        "maps": draw.randint(1, 5),
        "feat": feat,
        "block": [draw.randint(1, size + 2 if draw.random() < 0.2 else size) for size in feat],
        "keepProb": draw.choice([0.0, 1.0, 0.5, 0.9, 1 - 2.0**-40, *(draw.random() for _ in range(10))]),
        "gammaScale": draw.choice([1.0, 1.0, 0.25, 2.0**-30, 3 * draw.random()]),
        "sampleOffset": draw.choice([0, 0, WORD - 2, draw.randrange(WORD - 2)]),
        "stream": draw.choice([0, 0, WORD - 1, draw.randrange(WORD)]),
    }


def golden_case(golden: dict[str, Any]) -> Case:
    kept = {name: golden[name] for name in ("seed", "samples", "maps", "stream")}
    renamed = {"feat": "feat_size", "block": "block_size", "keepProb": "keep_prob"}
    renamed |= {"gammaScale": "gamma_scale", "sampleOffset": "sample_offset"}
    return kept | {ours: golden[theirs] for ours, theirs in renamed.items()}


GOLDEN_SEEDS = json.loads((GOLDEN / "seeds.json").read_text())
GOLDEN_THRESHOLDS = json.loads((GOLDEN / "thresholds.json").read_text())
DRAW = random.Random(0)
CASES = [golden_case(golden) for golden in GOLDEN_SEEDS] + [drawn_case(DRAW) for _ in range(DRAWN)]
HALVES = [(k + 0.5) * 2.0**-32 for k in (0, 1, 2, 3, 2**31, 2**31 + 1, 2**32 - 2)]  # t rounds them half to even
SCHEDULES = [(DRAW.random(), DRAW.randint(0, 1200), DRAW.randint(0, 1000)) for _ in range(200)]
LAYERS = [
    {"keepProb": keep_prob, "gamma": gamma(keep_prob, block, feat), "block": block, "feat": feat, "calibrated": False}
    for keep_prob, block, feat in [
        (0.9, (7, 7), (14, 14)),
        (0.9, (7, 7), (7, 7)),
        (0.6, (4, 3), (9, 5)),
        (0.5, (6, 9), (12, 5)),
    ]
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What one browser computes for all of them."""
    asked = {
        "CASES": CASES,
        "SCHEDULES": SCHEDULES,
        "LAYERS": LAYERS,
        "THRESHOLDS": [
            *({"gamma": float.fromhex(g["gamma"]), "length": len(g["T"])} for g in GOLDEN_THRESHOLDS),
            *({"gamma": half, "length": 32} for half in HALVES),
        ],
    }
    constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in asked.items())
    scripts = [*ARITHMETIC, constants, Path(__file__).with_name("answers.js")]
    return answer_of(tmp_path_factory.mktemp("arithmetic"), scripts)


def bits(x: float) -> str:
    return struct.pack(">d", x).hex()


def digits(bools: Any) -> str:
    return "".join(map(str, np.asarray(bools).astype(int).reshape(-1)))


def expected_answer(case: Case) -> Any:
    feat, block = tuple(case["feat"]), tuple(case["block"])
    g = gamma(case["keepProb"], block, feat, gamma_scale=case["gammaScale"])
    where = {"sample_offset": case["sampleOffset"], "stream": case["stream"]}
    seeds = sample_seeds(int(case["seed"]), case["samples"], case["maps"], feat, block, g, **where)
    t = threshold_word(g)
    length = Segments.of(feat, [min(b, f) for b, f in zip(block, feat, strict=True)]).length
    return {
        "gamma": bits(g),
        "calibrated": bits(gamma(case["keepProb"], block, feat, calibrated=True)),
        "t": t,
        "thresholds": thresholds(t, length),
        "seeds": digits(seeds),
        "mask": digits(block_mask(seeds, block, feat)),
    }


def test_the_generator_gives_its_published_answers(answers: Any) -> None:
    assert ["".join(f"{word:08x}" for word in words) for words in answers["philox"]] == [
        "6627e8d5e169c58dbc57ac4c9b00dbd8",
        "408f276d41c83b0ea20bc7c66d5451fd",
        "d16cfe0994fdcceb5001e42024126ea1",
    ]


def test_gamma_thresholds_seeds_and_masks_are_numpy_s_bit_for_bit(answers: Any) -> None:
    assert len(answers["cases"]) == len(CASES) == len(GOLDEN_SEEDS) + DRAWN
    for case, found in zip(CASES, answers["cases"], strict=True):
        assert {name: value for name, value in found.items() if name != "expected"} == expected_answer(case), case


def test_golden_files_hold(answers: Any) -> None:
    for golden, found in zip(GOLDEN_SEEDS, answers["cases"], strict=False):
        assert float.fromhex(golden["gamma"]) == struct.unpack(">d", bytes.fromhex(found["gamma"]))[0]
        assert sum(map(int, found["seeds"])) == len(golden["seeds"])
    assert answers["thresholds"][: len(GOLDEN_THRESHOLDS)] == [golden["T"] for golden in GOLDEN_THRESHOLDS]


def test_gamma_is_rounded_half_to_even(answers: Any) -> None:
    assert answers["thresholds"][len(GOLDEN_THRESHOLDS) :] == [thresholds(threshold_word(half), 32) for half in HALVES]


def test_expected_keep_is_the_exact_law(answers: Any) -> None:
    """Powers are within an ulp in either language, sums are exact; the page rounds a product and a quotient besides."""
    for case, found in zip(CASES, answers["cases"], strict=True):
        g = struct.unpack(">d", bytes.fromhex(found["gamma"]))[0]
        law = keep_map(g, tuple(case["block"]), tuple(case["feat"]))
        assert found["expected"] == pytest.approx(math.fsum(law.reshape(-1)) / law.size, rel=3 * 2.0**-52, abs=0), case


def test_schedule_is_numpy_s_bit_for_bit(answers: Any) -> None:
    assert answers["schedule"] == [bits(LinearSchedule(kp, steps)(step)) for kp, step, steps in SCHEDULES]


def units_of(layer: str, anchor: Sequence[int], block: Sequence[int], feat: Sequence[int]) -> tuple[slice, ...]:
    """The units that a seed drops."""
    match layer:
        case "dropout":
            return tuple(slice(a, a + 1) for a in anchor)
        case "spatial-dropout":
            return tuple(slice(0, f) for f in feat)
    sides = [min(b, f) for b, f in zip(block, feat, strict=True)]
    # On the whole map an odd block is centred at its seed; of an even one, half lies before it.
    before = [b // 2 if layer in ON_WHOLE_MAP else 0 for b in sides]
    starts = [a - b for a, b in zip(anchor, before, strict=True)]
    return tuple(slice(max(s, 0), s + b) for s, b in zip(starts, sides, strict=True))


@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_the_masks_and_laws_of_other_layers_are_those_of_literal_loops(answers: Any, number: int) -> None:
    setting = LAYERS[number]
    feat, block, drop = setting["feat"], setting["block"], 1 - setting["keepProb"]
    area = math.prod(min(b, f) for b, f in zip(block, feat, strict=True))
    gammas = {
        "paper": setting["gamma"],
        "full-map": setting["gamma"],
        "one-factor": drop / area,
        "twice": drop / area**2,
        "line-5": 1 - setting["gamma"],
        "dropout": drop,
        "spatial-dropout": drop,
    }
    assert [layer["id"] for layer in answers["layers"][number]] == list(gammas)
    for layer in answers["layers"][number]:
        name = layer["id"]
        assert layer["gamma"] == pytest.approx(gammas[name], rel=1e-15)
        side = {"spatial-dropout": feat, "paper": block, "line-5": block}.get(name, (1, 1))
        seeds = sample_seeds(1, 2, 3, feat, side, layer["gamma"])
        assert layer["seeds"] == digits(seeds)
        kept, cover = np.ones((2, 3, *feat), bool), np.zeros(feat, int)
        for sample, channel, *anchor in np.argwhere(seeds):
            kept[sample, channel, *units_of(name, anchor, block, feat)] = False
        for anchor in np.ndindex(seeds.shape[2:]):
            cover[units_of(name, anchor, block, feat)] += 1
        assert layer["mask"] == digits(kept)
        assert layer["cover"] == cover.reshape(-1).tolist()
        assert layer["dropped"] == pytest.approx(np.mean(1 - (1 - layer["gamma"]) ** cover), rel=1e-12)


def test_the_readme_s_table_of_layers_is_the_page_s(answers: Any) -> None:
    """The shares of its rows at 7x7 and 14x14."""
    rows = dict(
        re.findall(
            r"^\| (\S+?)[, ].*?\|( \W*[\d.]+%\W* \| \W*[\d.]+%\W*) \|", (ROOT / "README.md").read_text(), re.MULTILINE
        )
    )
    at_14, at_7 = ({layer["id"]: 100 * layer["dropped"] for layer in answers["layers"][n]} for n in (0, 1))
    for row, layer in {
        "**ours**": "paper",
        "timm": "full-map",
        "miguelvr's": "one-factor",
        "pylocron": "twice",
    }.items():
        said = [float(share) for share in re.findall(r"[\d.]+(?=%)", rows[row])]
        assert said == [round(share, 1 if share > 1 else 2) for share in (at_7[layer], at_14[layer])], row
