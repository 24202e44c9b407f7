"""What XLA's compiler for NVIDIA's GPUs makes of the program. It needs the CUDA plugin of JAX, and no GPU.

In an environment of your own: ``pip install "jax-cuda12-plugin[with-cuda]==VERSION"``, VERSION being that of jax; then
``pytest -m exhaustive -s tests/jax/test_compiled_for_a_gpu.py`` prints the figures of docs/performance.md.
"""

import re
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

import jax
import pytest
from jax import Array
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from dropblock_jax import drop_block

from .hlo import Program

pytest.importorskip("jax_plugins.xla_cuda12", reason="JAX's plugin for CUDA is not installed")
pytestmark = pytest.mark.exhaustive

H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 }
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  shared_memory_per_block: 49152 shared_memory_per_core: 233472 shared_memory_per_block_optin: 232448
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98 device_memory_size: 84978434048
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
SHAPES = [(256, 14, 14, 1024), (512, 7, 7, 2048)]
# What launches no kernel.
FREE = {"parameter", "constant", "bitcast", "get-tuple-element", "tuple", "while", "call"}


def forward(x: Array, seed: Array) -> Array:
    return drop_block(x, 0.9, 7, seed=seed)


def backward(x: Array, seed: Array) -> Array:
    """Forward and backward, of which only the gradient is asked for: the mask, and one application."""
    return jax.vjp(lambda x: forward(x, seed), x)[1](x)[0]


@cache
def compiled(call: Callable[..., Any], shape: tuple[int, ...]) -> Any:
    (device,) = topologies.get_topology_desc("one", "cuda", target_config=H100, topology="1x1x1").devices
    here = SingleDeviceSharding(device)
    operands = jax.ShapeDtypeStruct(shape, "float16"), jax.ShapeDtypeStruct((2,), "uint32")
    traced = jax.jit(call, in_shardings=here, out_shardings=here).trace(*operands)
    return traced.lower(lowering_platforms=("cuda",)).compile()


def trip_counts(text: str) -> dict[str, int]:
    """The body of each loop, and its rounds; KeyError in `launches` where the compiler does not know them."""
    loops = re.findall(r'body=%([\w.-]+).*"known_trip_count":\{"n":"(\d+)"\}', text)
    return {body: int(rounds) for body, rounds in loops}


def launches(text: str) -> int:
    """Kernels that one call launches: those of a loop's body as often as it runs."""
    known, program = trip_counts(text), Program.of(_Text(text))
    conditions = set(re.findall(r"condition=%([\w.-]+)", text))
    kernels = [i for i in program.instructions if i.opcode not in FREE and i.computation not in conditions]
    return sum(1 if i.computation == program.entry else known[i.computation] for i in kernels)


class _Text(str):
    def as_text(self) -> str:
        return self


@pytest.mark.parametrize("call", [forward, backward])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_host_is_asked_for_nothing_and_the_activations_move_once(
    shape: tuple[int, ...], call: Callable[..., Any]
) -> None:
    text = compiled(call, shape).as_text()
    assert len(re.findall(r" while\(", text)) == len(trip_counts(text))
    assert not re.findall(r"custom-call|conditional\(|infeed|outfeed", text)
    large = Program.of(_Text(text)).at_least(prod(shape))
    assert sorted(i.opcode for i in large) == ["fusion", "parameter"]
    print(f"\n{call.__name__} {shape}: {launches(text)} kernels")
    assert launches(text) <= 80
