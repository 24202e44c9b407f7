"""Puts the C library into the wheel, or leaves it out where there is no compiler: then NumPy does its work."""

import os
import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = "dropblock_core/native"


class NativeLibrary(BuildHookInterface):
    """With ``DROPBLOCK_NATIVE=0`` the wheel is one for every platform, without the library."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if os.environ.get("DROPBLOCK_NATIVE", "1") != "1":
            return
        compile_library = runpy.run_path(str(Path(self.root, NATIVE, "compile.py")))["compile_library"]
        if (obstacle := compile_library()) is not None:
            self.app.display_warning(f"built without the C library, whose work NumPy will do: {obstacle}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"], build_data["tag"] = False, f"py3-none-{platform}"
        build_data["artifacts"].append(f"/{NATIVE}/libdropblock.so")
