"""From IR text to machine code."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from polysched.errors import TargetError
from polysched.target import processors
from polysched.target.jit import NativeCode, assembly, object_code, optimized_ir
from polysched.target.machine import Target

native_x86 = pytest.mark.skipif(processors.arch(processors.host_triple()) != "x86_64", reason="reads x86-64 assembly")

SUM = """
define float @sum(ptr %A, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %total = phi float [ 0.0, %entry ], [ %more, %loop ]
  %p = getelementptr float, ptr %A, i64 %i
  %x = load float, ptr %p, align 4
  %more = fadd float %total, %x
  %next = add nuw nsw i64 %i, 1
  %again = icmp slt i64 %next, LIMIT
  br i1 %again, label %loop, label %done
done:
  ret float %more
}
"""
MULTIPLY_ADD = """
define void @f(ptr %p) {
  %x = load <16 x float>, ptr %p, align 4
  %y = fmul <16 x float> %x, %x
  %z = fadd <16 x float> %y, %x
  store <16 x float> %z, ptr %p, align 4
  ret void
}
"""


def test_code_runs():
    code = NativeCode("define i32 @f(i32 %x) { %y = add i32 %x, 1\n ret i32 %y }", Target(), ["f"], {})
    assert ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(code.address("f"))(41) == 42
    assert list(code.timings) == ["parse", "verify", "optimize", "codegen", "link"]


def test_symbols_given_and_of_the_process():
    text = """
    @cell = external global i32
    declare double @fmod(double, double)
    define double @f(double %x) {
      %r = call double @fmod(double %x, double 4.0)
      store i32 7, ptr @cell
      ret double %r
    }"""
    cell = ctypes.c_int32()
    code = NativeCode(text, Target(), ["f"], {"cell": ctypes.addressof(cell)})
    assert ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(code.address("f"))(9.5) == 1.5
    assert cell.value == 7


def test_a_missing_function_is_an_error_and_no_crash():
    text = "declare void @no_such_function()\ndefine void @f() { call void @no_such_function()\n ret void }"
    with pytest.raises(TargetError, match="functions that this process does not have: no_such_function"):
        NativeCode(text, Target(), ["f"], {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("define void @f() {\n  nonsense\n}", "2:3: error: expected instruction opcode"),
        ("define i32 @f() {\n  br label %b\nb:\n  %x = phi i32 [ 1, %b ]\n  ret i32 %x\n}", "PHI"),
    ],
)
def test_invalid_ir_is_our_fault(text, words):
    with pytest.raises(AssertionError, match=words):
        optimized_ir(text, Target())


def test_loops_stay_as_they_are():
    for limit in ("%n", "4"):
        text = optimized_ir(SUM.replace("LIMIT", limit), Target())
        assert text.count("fadd") == 1
        assert "x float>" not in text


@native_x86
def test_products_and_sums_are_not_contracted():
    text = assembly(MULTIPLY_ADD, Target("x86-64-v4"))
    assert "vmulps" in text
    assert "fmadd" not in text


@native_x86
def test_the_widest_vectors_are_used():
    assert "zmm" in assembly(MULTIPLY_ADD, Target("x86-64-v4"))
    assert "ymm" in assembly(MULTIPLY_ADD, Target("x86-64-v3"))


def test_other_architectures():
    assert "fmla" in assembly(
        """
    declare <4 x float> @llvm.fma.v4f32(<4 x float>, <4 x float>, <4 x float>)
    define <4 x float> @f(<4 x float> %x) {
      %y = call <4 x float> @llvm.fma.v4f32(<4 x float> %x, <4 x float> %x, <4 x float> %x)
      ret <4 x float> %y
    }""",
        Target("aarch64-unknown-linux-gnu"),
    )
    assert object_code(MULTIPLY_ADD, Target("aarch64-unknown-linux-gnu")).startswith(b"\x7fELF")


def test_threads_may_compile_at_the_same_time():
    def value(k: int) -> int:
        text = f"define i32 @f(i32 %x) {{ %y = add i32 %x, {k}\n ret i32 %y }}"
        code = NativeCode(text, Target(), ["f"], {})
        return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(code.address("f"))(k)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(value, range(64))) == [2 * k for k in range(64)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_code_is_given_back():
    script = """
from polysched.target.jit import NativeCode
from polysched.target.machine import Target
text = "define i32 @f(i32 %x) { %y = add i32 %x, 1\\n ret i32 %y }"
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4
for _ in range(50):
    NativeCode(text, Target(), ["f"], {})
before = resident()
for _ in range(200):
    NativeCode(text, Target(), ["f"], {})
assert resident() - before < 200 * 10, resident() - before
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
