"""What a GPU would be given: the launches of some calls, as the engine makes them, and their kernels compiled for it.

No GPU is needed: nothing is launched. But where TRITON_INTERPRET is set there is nothing to compile.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
import triton
from triton._utils import canonicalize_dtype
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from dropblock_core.call import Call
from dropblock_torch.engines import gpu
from dropblock_torch.engines.kernels import applying, drawing, growing
from dropblock_torch.engines.plan import Plan, wide_dtype

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
KERNELS = [
    (drawing, "draw"),
    (growing, "grow"),
    (growing, "grow_across"),
    (applying, "scale_and_drop"),
    (applying, "scale_and_drop_across"),
]
# Arguments that may pass 2^31, and floats. Triton would compile again for a large value of one that does not say so.
LARGE = {"t", "sample_offset", "stream", "units_counted", "gamma_scale", "ratio", "fixed_scale"}


class Recorded(NamedTuple):
    """A kernel, the number of its programs, and what it is given, by name."""

    kernel: Any
    programs: int
    given: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.kernel.__name__)

    def source(self) -> ASTSource:
        """The kernel with the types of these arguments, as Triton's own launcher would compile it."""
        names = self.kernel.arg_names
        assert set(self.given) == set(names)
        said = {p.name: p.annotation_type for p in self.kernel.params if not p.is_constexpr and p.annotation_type}
        assert {name for name in names if name in LARGE or name.endswith("magic")} == said.keys()
        constants = {p.name for p in self.kernel.params if p.is_constexpr}
        free = {p.name for p in self.kernel.params if p.do_not_specialize} | constants
        assert all(
            isinstance(self.given[n], (torch.Tensor, float)) or self.given[n] > 1 for n in names if n not in free
        ), "it would become a constant"
        aligned = {name for name in names if name not in free and _is_multiple_of_16(self.given[name])}
        return ASTSource(
            self.kernel,
            {name: "constexpr" if name in constants else said.get(name) or _type(self.given[name]) for name in names},
            constexprs={(names.index(name),): self.given[name] for name in constants},
            attrs={(names.index(name),): [["tt.divisibility", 16]] for name in aligned},
        )

    def compiled(self, target: str) -> Any:
        return triton.compile(self.source(), target=TARGETS[target])


def _is_multiple_of_16(value: Any) -> bool:
    """As an int, or as an address: PyTorch's allocator gives no others."""
    return isinstance(value, torch.Tensor) or (isinstance(value, int) and value % 16 == 0)


def _type(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"*{canonicalize_dtype(value.dtype)}"
    assert value < 2**31
    return "i32"


class Setting(NamedTuple):
    """Activations, and a call on them."""

    shape: tuple[int, ...]
    block: int
    dtype: torch.dtype = torch.float16
    renorm: str = "tensor"
    per_channel: bool = True
    channels_last: bool = False
    keep_prob: torch.dtype | None = None  # of one on the device

    @property
    def plan(self) -> Plan:
        block = (self.block,) * len(self.shape[2:])
        return Plan.of(self.shape, block, self.per_channel, self.renorm, self.channels_last)

    def of_mask(self) -> list[Recorded]:
        """Lines 5 and 6, and line 8's factor."""
        plan = self.plan
        call = Call(0.9, self.shape[0], plan.maps, plan.segments, 1.0, False, self.renorm, None, 0, 0, False)
        key = torch.empty(2, dtype=torch.int64)
        keep_prob = 0.9 if self.keep_prob is None else torch.empty(1, dtype=self.keep_prob, device="meta")
        with recorded() as made:
            gpu.mask(key, keep_prob, call, plan, wide_dtype(self.dtype))
        return made

    def of_apply(self, channels_last: bool) -> list[Recorded]:
        """Lines 7 and 8, in either pass, of activations or a gradient in either order."""
        plan = self.plan
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
        x = torch.empty(self.shape, dtype=self.dtype, memory_format=memory_format)  # nobody writes there
        state, scale = torch.empty(4, dtype=torch.uint8), torch.empty(plan.scopes, dtype=wide_dtype(self.dtype))
        with recorded() as made:
            gpu.apply(x, state, scale, plan)
        return made


@contextmanager
def recorded() -> Iterator[list[Recorded]]:
    """Within the block, launches are noted and not made."""
    made: list[Recorded] = []
    with ExitStack() as stack:
        for launches in (gpu._drawing, gpu._applying):  # which hold kernels, or recorders
            launches.cache_clear()
            stack.callback(launches.cache_clear)
        for module, name in KERNELS:
            stack.enter_context(mock.patch.object(module, name, _Recorder(getattr(module, name), made)))
        yield made


class _Recorder:
    """In a kernel's place."""

    def __init__(self, kernel: Any, made: list[Recorded]) -> None:
        self.kernel, self.made, self.arg_names = kernel, made, kernel.arg_names

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*args: Any, **constants: Any) -> None:
            given = dict(zip(self.kernel.arg_names, args, strict=False)) | constants
            self.made.append(Recorded(self.kernel, *grid, given))

        return launch


# What is special in a kernel, its name, and a setting whose mask takes it.
OF_MASK: dict[str, tuple[str, Setting]] = {
    "keep_prob on the host": ("draw", Setting((256, 1024, 14, 14), 7)),
    "keep_prob on the device": ("draw", Setting((256, 1024, 14, 14), 7, keep_prob=torch.float32)),
    "the same in float64": ("draw", Setting((256, 1024, 14, 14), 7, keep_prob=torch.float64)),
    "14x14": ("grow", Setting((256, 1024, 14, 14), 7)),
    "80x80": ("grow", Setting((16, 256, 80, 80), 5)),
    "a sample of 2^30 units, by sample": ("grow", Setting((2, 2**14, 256, 256), 7, renorm="sample")),
    "channels last": ("grow_across", Setting((256, 1024, 14, 14), 7, channels_last=True)),
    "14x14, and each map counted": ("grow", Setting((256, 1024, 14, 14), 7, renorm="map")),
}


def variants(dtypes: Iterable[torch.dtype]) -> Iterator[tuple[str, Recorded]]:
    """Every kernel there is, and those of lines 7 and 8 for activations of `dtypes`."""
    for what, (name, setting) in OF_MASK.items():
        yield what, next(launch for launch in setting.of_mask() if launch.name == name)
    for dtype in dtypes:
        setting = Setting((256, 1024, 14, 14), 7, dtype)
        by_map = setting._replace(renorm="map")
        shared = setting._replace(renorm="sample", per_channel=False)
        last = setting._replace(channels_last=True)
        few = last._replace(shape=(512, 2048, 7, 7))
        odd = last._replace(shape=(256, 1000, 14, 14))
        for what, of, channels_last in (
            ("over the tensor", setting, False),
            ("over each map", by_map, False),
            ("over each sample, one mask for all channels", shared, False),
            ("the same, channels last", shared, True),
            ("channels last, over each map", by_map, True),
            ("channels last, 1,000 of them", odd, True),
            ("14x14, of a mask that is channels last", last, False),
            ("7x7, of a mask that is channels last", few, False),
        ):
            yield f"{str(dtype).removeprefix('torch.')}, {what}", *of.of_apply(channels_last)
