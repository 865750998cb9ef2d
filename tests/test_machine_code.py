"""The numba backend's machine code works on vectors, and calls no function for each element.

A kernel that falls back to scalar code gives the same results, at an eighth of the speed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import pytest

from .subprocesses import run_python
from .variants import INSTALLED

if "numba" not in INSTALLED:
    pytest.skip("numba is not installed", allow_module_level=True)

from fastsoftmax._backends import jitted
from fastsoftmax._backends.numba_kernels import compilation, words
from fastsoftmax._backends.numba_kernels.numba_api import codegen_target, njit, types

TRIPLE, _, FEATURES = codegen_target()
IS_X86 = TRIPLE.startswith("x86_64")
IS_ARM = TRIPLE.startswith(("aarch64", "arm64"))

pytestmark = [
    pytest.mark.slow,  # compiles a kernel, for the text of its code is not kept on disk
    pytest.mark.skipif(
        not (IS_X86 or IS_ARM), reason=f"the instructions of {TRIPLE} are not known here"
    ),
]

assert jitted.NAME == "numba"  # all modules with kernels are imported

ROW_BY_ROW = {
    "log_softmax_backward": {"exp", "frexp", "ldexp"},
    "cross_entropy": {"frexp", "ldexp"},
    "grad_hess": {"frexp", "ldexp"},
    "shard_exponentials": {"frexp", "ldexp"},
    "softmax": {"frexp", "ldexp"},
    "plain_softmax": {"frexp", "ldexp"},
}
"""What is called once a row, in float64, where the rows' sums are scaled."""

MATHEMATICS = re.compile(
    r"(?:numba_|__)?("
    r"(?:exp|exp2|exp10|expm1|log|log2|log10|log1p|pow|fma|sqrt|ldexp|frexp|scalbn|fmod"
    r"|floor|ceil|rint|round|trunc|nearbyint|fmax|fmin|fabs|copysign|modf)[fl]?(?:_finite)?"
    r"|svml\w*|_ZGV\w*)"
)
WHOLE_NUMBERS = {"check_labels": "all of it"}

# Instructions of arithmetic: the first group is the width of an element, the second the register.
X86_REGISTERS = {"z": 512, "y": 256, "x": 128}
X86_REAL = re.compile(
    r"\sv?(?:add|sub|mul|div|f(?:n?m)(?:add|sub)(?:\d+)?)p([sd])\s[^\n]*%([xyz])mm\d+"
)
X86_SCALAR = re.compile(r"\sv?(?:add|sub|mul|div|f(?:n?m)(?:add|sub)(?:\d+)?)s([sd])\s")
X86_WHOLE = re.compile(r"\sv?p(?:add|sub|cmp\w*|minu|maxu|mins|maxs)([dq])\s[^\n]*%([xyz])mm\d+")
ARM_REAL = re.compile(r"\sf(?:add|sub|mul|div|mla|mls)(?:\.[24][sd])?\s+v\d+\.[24]([sd])")
ARM_SCALAR = re.compile(r"\sf(?:add|sub|mul|div|madd|msub|nmadd|nmsub)\s+([sd])\d+")
ARM_WHOLE = re.compile(r"\s(?:add|sub|cm\w\w|[su]min|[su]max)(?:\.[24][sd])?\s+v\d+\.[24]([sd])")


def widest() -> int:
    """Bits of the widest registers that the CPU has and the words are split into, if need be."""
    if IS_ARM:
        return 128
    features = FEATURES.split(",")
    cpu = 512 if "+avx512f" in features else 256 if "+avx2" in features else 128
    return min(cpu, words.LINE_BITS)


def packed(asm: str, whole_numbers: bool = False) -> Counter[tuple[str, int]]:
    """Count the instructions on vectors by element (s, d; or d, q if whole) and register's bits."""
    if IS_ARM:
        pattern = ARM_WHOLE if whole_numbers else ARM_REAL
        return Counter((m[1], 128) for m in pattern.finditer(asm))
    pattern = X86_WHOLE if whole_numbers else X86_REAL
    return Counter((m[1], X86_REGISTERS[m[2]]) for m in pattern.finditer(asm))


def scalar(asm: str) -> Counter[str]:
    """Count the instructions of arithmetic on single numbers by element (s, d)."""
    return Counter(m[1] for m in (ARM_SCALAR if IS_ARM else X86_SCALAR).finditer(asm))


def called_mathematics(asm: str) -> set[str]:
    """Return the mathematical functions whose address is taken, or that are called directly."""
    pattern = r"(?:movabsq\s+\$|callq?\s+|movq\s+|bl\s+|:\w+:|adrp\s+\w+,\s*:got:)([A-Za-z_]\w*)"
    found = (MATHEMATICS.fullmatch(name) for name in re.findall(pattern, asm))
    return {match[1] for match in found if match}


def code_of(dispatcher: Any) -> str:
    (asm,) = dispatcher.inspect_asm().values()
    return str(asm)


def faults(asm: str, name: str, itemsize: int) -> list[str]:
    """Say what is wrong with a kernel's code."""
    bits, found = widest(), []
    if extra := called_mathematics(asm) - ROW_BY_ROW.get(name, set()):
        found.append(f"calls {sorted(extra)}")
    if name in WHOLE_NUMBERS:
        element = ("s" if IS_ARM else "d") if itemsize == 4 else ("d" if IS_ARM else "q")
        if packed(asm, whole_numbers=True)[element, bits] < 4:
            found.append(f"no whole numbers in vectors of {bits} bits")
        return found
    element = "s" if itemsize == 4 else "d"
    vectors, singles = packed(asm)[element, bits], scalar(asm)[element]
    # Even the shortest, softmax_backward in float32, has more; its sums are of float64.
    if vectors < 10:
        found.append(f"only {vectors} instructions on vectors of {bits} bits")
    if vectors < 2 * singles:
        found.append(f"{vectors} instructions on vectors, but {singles} on single numbers")
    return found


VERSIONS = [
    pytest.param(kernel, itemsize, id=f"{kernel.name}-{8 * itemsize}")
    for kernel in compilation.KERNELS
    for itemsize in kernel.itemsizes
    # Sums of a few numbers, in their order; a wait for work.
    if kernel.name not in ("combine_chunks", "serve")
]


@pytest.mark.parametrize(("kernel", "itemsize"), VERSIONS)
def test_kernel_works_on_vectors(kernel: Any, itemsize: int) -> None:
    assert faults(code_of(kernel.dispatcher(itemsize)), kernel.name, itemsize) == []


def test_lost_vectors_are_found() -> None:
    """The same kernel for a CPU with narrow registers."""
    if widest() == 128:
        pytest.skip("the registers of this CPU are as narrow as those of any")
    script = """
        from fastsoftmax._backends.numba_kernels.probabilities import SOFTMAX
        (asm,) = SOFTMAX.dispatcher(4).inspect_asm().values()
        print(asm)
    """
    least: dict[str, str | None] = {
        "NUMBA_CPU_NAME": "x86-64" if IS_X86 else "generic",
        "NUMBA_CPU_FEATURES": "",
    }
    asm = run_python(script, environment=least).stdout
    assert packed(asm)["s", 128] > 50
    found = faults(asm, "softmax", 4)
    assert any(fault.startswith("only 0 instructions on vectors") for fault in found), found


def test_a_loop_over_the_mathematical_library_is_found() -> None:
    @njit([(types.float32[::1], types.float32[::1])], error_model="numpy")
    def softmax(x, out):  # type: ignore[no-untyped-def]
        for i in range(x.size):
            out[i] = math.exp(x[i]) * x[i]

    found = faults(code_of(softmax), "softmax", 4)
    assert any("exp" in fault for fault in found)
    assert any(fault.startswith("only ") for fault in found)
