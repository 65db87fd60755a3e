"""The rules of loop IR: each one broken, and found."""

from __future__ import annotations

import pytest

import polysched as ps
from polysched.compute.dtypes import DTYPES, INDEX
from polysched.compute.expr import Const, Op
from polysched.lower.ir import Buffer, For, If, Load, Ramp, Stmt, Store, Var
from polysched.lower.verify import InvalidIR, verify

F32, U8 = DTYPES["float32"], DTYPES["uint8"]
N, M = ps.size_var("n"), ps.size_var("m")
A, C = (Buffer(name, F32, (N,), "argument") for name in "AC")
B = Buffer("B", F32, (N, M), "argument")


def number(value: int) -> Const:
    return Const(value, INDEX)


def _broken() -> dict[str, Stmt]:
    i = Var("i")
    element = Load(C, (number(0),))
    register = Buffer("t", F32, (N,), "register")
    return {
        "i is used where nothing binds it": Store(A, (i,), element),
        "i is bound twice": For(i, number(0), number(2), For(i, number(0), number(2), Store(A, (i,), element))),
        "a value has another type than its buffer": Store(A, (number(0),), number(1)),
        "an index is no int64": Store(A, (Const(0, U8),), element),
        "an index is missing": Store(B, (number(0), number(0), number(0)), element),
        "vectors of": Store(A, (Ramp(number(0), 4),), Load(C, (Ramp(number(0), 8),))),
        "a vector is stored to one element": Store(A, (number(0),), Load(C, (Ramp(number(0), 4),))),
        "a condition is no bool": If(number(1), Store(A, (number(0),), element)),
        "a mask is no bool": Store(A, (number(0),), element, number(1)),
        "add of float32, int64": Store(A, (number(0),), Op("add", (element, number(1)), F32)),
        "t is not there": Store(register, (number(0),), element),
        "a bound is no index": For(i, number(0), Ramp(number(0), 2), Store(A, (i,), element)),
        "is still to be": For(i, number(0), number(2), Store(A, (i,), element), "unroll"),
    }


@pytest.mark.parametrize("rule", sorted(_broken()))
def test_verify_finds_what_is_wrong(rule: str) -> None:
    with pytest.raises(InvalidIR, match=rule):
        verify(_broken()[rule], ["vectorize", "unroll"], [A, B, C])


def test_verify_knows_the_variables_of_strides() -> None:
    stride = Var("A.stride0")
    strided = Buffer("A", F32, (N,), "argument", (stride,))
    verify(Store(strided, (number(0),), Load(C, (number(0),))), ["loops"], [strided, C])
