"""The launches of the Triton kernels, on a GPU that is not there: how many there are, and what they hand over."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("triton")
from dropblock_torch.engines import launching
from tests.gpu.pretended import COMPILER
from tests.shared.comparing import RENORMS

# A process of its own: in this one Triton interprets, and says so once and for all when it is imported.
PROGRAM = """
import json
from tests.gpu import pretended

launched = []
pretended.install(lambda name, *arguments: launched.append((name, arguments)))
import torch
import triton
from triton.runtime.jit import JITFunction
from dropblock_torch import DropBlock2d, drop_block, engines

seen, compiled, places = {}, [], {}
compile = JITFunction._do_compile
JITFunction._do_compile = lambda self, *rest: compiled.append(self.fn.__name__) or compile(self, *rest)

def told(name, arguments):
    # Triton is given tensors, and at later calls stand the addresses that they have.
    if tensors := {i for i, a in enumerate(arguments) if hasattr(a, "data_ptr")}:
        places[name] = tensors
    return ["place" if i in places[name] else a for i, a in enumerate(arguments)]

def see(what, call):
    launched.clear(), compiled.clear()
    y = call()
    seen[what] = {
        "names": [name for name, _ in launched],
        "compiled": compiled.copy(),
        "arguments": [told(*launch) for launch in launched],
        "by triton": [any(hasattr(a, "data_ptr") for a in arguments) for _, arguments in launched],
    }
    return y

def run():
    for channels_last in (False, True):
        for per_channel in (True, False):
            for renorm in RENORMS:
                x = torch.randn(2, 33, 9, 9).requires_grad_()
                if channels_last:
                    x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
                options = {"block_size": 3, "seed": 5, "renorm": renorm, "per_channel": per_channel}
                for turn in ("first", "second"):
                    y = see(f"{renorm} {channels_last} {per_channel} {turn}", lambda: drop_block(x, 0.5, **options))
                    see(f"{renorm} {channels_last} {per_channel} {turn} back", lambda: y.sum().backward())
    x = torch.randn(2, 5, 9, 9)
    layer = DropBlock2d(0.9, 3)
    see("layer", lambda: layer(x))
    for keep_prob in (0.5, 0.25, 0.0):
        layer.keep_prob = keep_prob
        see(f"schedule {keep_prob}", lambda: layer(x))
    see("elsewhere", lambda: layer(torch.randn(2 * 5 * 9 * 9 + 1)[1:].view(2, 5, 9, 9)))
    see("elsewhere again", lambda: layer(torch.randn(2 * 5 * 9 * 9 + 1)[1:].view(2, 5, 9, 9)))
    see("back", lambda: layer(x))
    hook = lambda metadata: None
    triton.knobs.runtime.launch_enter_hook.add(hook)
    see("watched", lambda: layer(x))
    triton.knobs.runtime.launch_enter_hook.remove(hook)

RENORMS = json.loads(input())
with engines.force("gpu"):
    run()
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, dict[str, list[Any]]]:
    if COMPILER is None:
        pytest.skip("no C compiler, which makes the driver that does nothing")
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(list(RENORMS)),
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found: dict[str, dict[str, list[Any]]] = json.loads(run.stdout)
    return found


def forward(seen: dict[str, dict[str, list[Any]]]) -> dict[str, dict[str, list[Any]]]:
    return {what: s for what, s in seen.items() if what.split()[0] in RENORMS and not what.endswith("back")}


def test_mask_and_application_are_three_launches_and_the_gradient_is_one(seen: dict[str, Any]) -> None:
    for what, launches in forward(seen).items():
        assert len(launches["names"]) == 3, what
        assert [name.split("_")[0] for name in launches["names"][:2]] == ["draw", "grow"]
        assert [name.removesuffix("_across") for name in seen[f"{what} back"]["names"]] == ["scale_and_drop"]


def test_a_second_call_hands_over_what_triton_did_at_the_first(seen: dict[str, Any]) -> None:
    for what, launches in forward(seen).items():
        if what.endswith("second"):
            first = seen[what.replace("second", "first")]
            assert launches["arguments"] == first["arguments"], what
            assert not any(launches["by triton"])
            assert not launches["compiled"]
    assert any(any(launches["by triton"]) for launches in forward(seen).values())


def test_a_schedule_compiles_nothing_and_asks_triton_nothing(seen: dict[str, Any]) -> None:
    ts = []
    for step in ("0.5", "0.25", "0.0"):
        launches = seen[f"schedule {step}"]
        assert not launches["compiled"]
        assert not any(launches["by triton"])
        ts.append(launches["arguments"][0])
    assert ts[0] != ts[1] != ts[2]


def test_an_address_that_is_no_multiple_of_16_is_left_to_triton(seen: dict[str, Any]) -> None:
    assert seen["elsewhere"]["compiled"] == ["scale_and_drop"]
    for turn in ("elsewhere", "elsewhere again"):
        assert seen[turn]["by triton"] == [False, False, True]
    assert seen["back"]["by triton"] == [False, False, False]
    assert not seen["back"]["compiled"]


def test_launches_that_a_profiler_watches_are_left_to_triton(seen: dict[str, Any]) -> None:
    assert seen["watched"]["by triton"] == [True, True, True]


def test_a_triton_that_nobody_has_read_launches_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "IS_KNOWN", False)
    launched: list[Any] = []

    class Kernel:  # of a Triton whose compiled kernels have nothing of what ours have
        arg_names = ("x_ptr", "size")

        def __getitem__(self, grid: Any) -> Any:
            def launch(*arguments: Any) -> object:
                launched.append((grid, arguments))
                return object()

            return launch

    launch, x = launching.Launch(Kernel(), 3, size=5), torch.zeros(16)
    launch(x)
    launch(x)
    assert launched == 2 * [((3,), (x, 5))]


@pytest.mark.parametrize(
    ("version", "known"), [("3.2.0", False), ("3.6.0+git1234", True), ("3.7.1", True), ("3.8.0", False), ("4.0", False)]
)
def test_which_tritons_were_read(version: str, known: bool) -> None:
    assert launching.is_known(version) is known


def test_code_is_loaded_in_a_capture_as_if_it_were_none(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = [0]

    def exchange(mode: Any) -> None:
        modes.append(mode._obj.value)
        mode._obj.value = modes[-2]

    monkeypatch.setattr(launching, "_exchange_capture_mode", lambda: exchange)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for is_capturing in (False, True):
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda answer=is_capturing: answer)
        on: Any = SimpleNamespace(is_cuda=True)
        with launching._capture_allows_loading(on):
            assert modes == ([0, 2] if is_capturing else [0])
    assert modes == [0, 2, 0]


def test_a_library_is_found_by_the_name_it_was_loaded_by() -> None:
    """ROCm's, in which a capture is told to allow loading, may lie anywhere, under a name that ends with a number."""
    found = Path(launching._loaded("libtorch_cpu.so"))
    assert found.is_file()
    assert found.name.startswith("libtorch_cpu.so")
    assert launching._loaded("libnothing.so") == "libnothing.so"
