"""Compile textgen/native/kernels.c where there is a C compiler; the package works without it.

Each kind of processor gets a file of its own, and the fastest that runs is chosen when the package
is used, so that a wheel may travel. ``CC`` names another compiler, ``TEXTGEN_NATIVE=0`` leaves all
of it out.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "textgen/native"
FLAGS = ["-O3", "-std=gnu11", "-fPIC", "-shared", "-Wno-psabi"]
_AVX512 = ["-march=x86-64-v4"]
_BF16 = [*_AVX512, "-mavx512vnni", "-mavx512bf16"]
X86 = {
    "amx": [*_BF16, "-mamx-tile", "-mamx-bf16", "-mamx-int8"],
    "avx512-bf16": _BF16,
    "avx512": _AVX512,
    "avx2": ["-march=x86-64-v3"],
}
MINUTES = 5


class NativeKernels(BuildHookInterface):  # type: ignore[type-arg]
    """Adds what could be compiled to a wheel, or beside the source of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - its shape is hatchling's
        """Compile before the wheel is put together."""
        if self.target_name != "wheel" or os.environ.get("TEXTGEN_NATIVE") == "0":
            return
        folder = Path(self.root) / FOLDER
        compiler = shlex.split(os.environ.get("CC", "cc"))
        built: list[str] = []
        if shutil.which(compiler[0]):
            built = [kind for kind in kinds() if self.compiled(compiler, folder, kind)]
        for path in folder.glob("kernels-*.so"):
            if path.stem.removeprefix("kernels-") not in built:
                path.unlink()  # of another compiler, or another machine
        if not built:
            self.app.display_warning(
                f"{compiler[0]} is missing or could not compile {FOLDER}: textgen will decode few "
                "rows in Python."
            )
            return
        build_data["artifacts"].extend(f"{FOLDER}/kernels-{kind}.so" for kind in built)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag()}"

    def compiled(self, compiler: list[str], folder: Path, kind: str) -> bool:
        """Compile for one kind of processor, with threads if possible; whether that worked.

        The file is replaced at once, so that a running program keeps the old one.
        """
        path = folder / f"kernels-{kind}.so"
        new = path.with_suffix(f".{os.getpid()}")
        command = [*compiler, *FLAGS, *kinds()[kind], "-o", str(new), str(folder / "kernels.c")]
        try:
            for threads in (["-fopenmp"], ["-Wno-unknown-pragmas"]):
                done = subprocess.run(  # noqa: S603 - the compiler
                    [*command, *threads, "-lm"],
                    check=False,
                    capture_output=True,
                    text=True,
                    timeout=60 * MINUTES,
                )
                if done.returncode == 0:
                    new.replace(path)
                    return True
                self.app.display_debug(f"{kind}: {done.stderr}")
        except (OSError, subprocess.TimeoutExpired) as error:
            self.app.display_debug(f"{kind}: {error}")
        finally:
            new.unlink(missing_ok=True)
        return False


def kinds() -> dict[str, list[str]]:
    """What to compile on this machine: names and flags."""
    return X86 if platform.machine().lower() in {"x86_64", "amd64"} else {"generic": []}


def tag() -> str:
    """The platform's name in a wheel's."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
