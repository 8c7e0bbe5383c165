"""Builds the kernels of the RWKV-7 engine where there is a C++ compiler; without one the package installs all the same.

The sources are compiled once for each level of the instruction set, and the best one that the processor can run is
chosen when they are loaded, so a wheel built on one machine works on another.
"""

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("modalities/rwkv/kernels")
LEVELS = {"_kernels_1": []}
if platform.machine() in ("x86_64", "AMD64"):
    WIDE = ["-march=x86-64-v4", "-mprefer-vector-width=512"]
    HALF = [*WIDE, "-mavx512bf16"]
    LEVELS |= {"_kernels_3": ["-march=x86-64-v3"], "_kernels_4": WIDE, "_kernels_5": HALF}
    LEVELS |= {"_kernels_6": [*HALF, "-mamx-tile", "-mamx-bf16"]}


class Build(build_ext):
    """The same sources for every level: their object files must not meet."""

    def build_extension(self, ext: Extension) -> None:
        shared, self.build_temp = self.build_temp, str(Path(self.build_temp) / ext.name)
        super().build_extension(ext)
        self.build_temp = shared


def extension(name: str, flags: list[str]) -> Extension:
    return Extension(
        f"capitoline.modalities.rwkv.{name}",
        sources=[str(path) for path in sorted(KERNELS.glob("*.cpp"))],
        depends=[str(path) for path in sorted(KERNELS.glob("*.h"))],
        # Not -ffast-math: it breaks the exponential. These two are what the compiler needs to vectorise.
        extra_compile_args=["-std=c++17", "-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi", *flags],
        extra_link_args=["-pthread"],
        optional=True,
    )


setup(ext_modules=[extension(name, flags) for name, flags in LEVELS.items()], cmdclass={"build_ext": Build})
