"""A GPU that is not there, for what the host does before a kernel runs: Triton's launcher is real, the driver is not.

Triton compiles nothing, and its launcher in C, which reads every argument, hands over to a driver that does nothing and
says that all went well. Nothing computes: results are rubbish.
"""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

COMPILER = shutil.which("cc")


def install(watch: Callable[..., None] | None = None) -> None:
    """Pretend, in this process and for good, before the kernels are imported. Needs COMPILER.

    `watch` is told of every launch: the name of the kernel, its grid and its arguments.
    """
    os.environ["TRITON_INTERPRET"] = "0"
    from triton.backends.nvidia import driver as nvidia
    from triton.runtime.driver import driver
    from triton.runtime.jit import JITFunction

    _load_empty_driver((Path(nvidia.dirname) / "driver.c").read_text())
    pretended = nvidia.CudaDriver()
    pretended.get_current_device = lambda: 0
    pretended.get_current_stream = lambda device: 0
    pretended.get_device_capability = lambda device=None: (9, 0)
    driver.set_active(pretended)

    def compiled(
        self: Any, key: Any, signature: Any, device: Any, constants: Any, options: Any, attributes: Any, warmup: bool
    ) -> Any:
        sizes = ("global_scratch_size", "global_scratch_align", "profile_scratch_size", "profile_scratch_align")
        metadata = SimpleNamespace(
            num_ctas=1, launch_cooperative_grid=False, launch_pdl=False, **dict.fromkeys(sizes, 0)
        )
        launcher = nvidia.CudaLauncher(SimpleNamespace(fn=self, signature=signature, constants=constants), metadata)

        def watched(*arguments: Any) -> None:
            watch(self.fn.__name__, *arguments[:3], *arguments[9:])  # type: ignore[misc]  # not None here
            launcher(*arguments)

        made = SimpleNamespace(
            run=watched if watch else launcher, function=0, packed_metadata=(4, 1, 0), launch_metadata=lambda *_: None
        )
        self.device_caches[device][0][key] = made
        return made

    JITFunction._do_compile = compiled


def _load_empty_driver(source: str) -> None:
    """Compile and load a library with every function of the driver's that `source` calls."""
    functions = set(re.findall(r"\b(cu[A-Z]\w*)\s*\(", source)) | {"cuLaunchKernelEx"}
    folder = Path(tempfile.mkdtemp())
    code, library = folder / "driver.c", folder / "libcuda.so.1"
    code.write_text("".join(f"int {name}() {{ return 0; }}\n" for name in sorted(functions)))
    soname = f"-Wl,-soname,{library.name}"
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-O2", soname, "-o", library, code], check=True)
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    os.environ["TRITON_LIBCUDA_PATH"] = str(folder)
