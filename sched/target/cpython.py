"""What compiled code borrows from CPython: functions and objects by address, and a way to become a Python callable."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

_FUNCTIONS = (
    "PyObject_GetBuffer",
    "PyBuffer_Release",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyErr_Clear",
    "PyErr_Occurred",
    "PyFloat_AsDouble",
    "PyLong_AsLongLong",
    "PyLong_AsUnsignedLongLong",
    "Py_BuildValue",
    "Py_IncRef",
)
_METH_FASTCALL = 0x80

# Bytes from the start of an object to the pointer to its type, which is the last field of every object's header.
TYPE_OFFSET = object.__basicsize__ - ctypes.sizeof(ctypes.c_void_p)


class _MethodDef(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_new_builtin = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
    ("PyCFunction_NewEx", ctypes.pythonapi)
)


@cache
def functions() -> dict[str, int] | None:
    """The addresses of the functions of CPython's that entries call; None if this is not a CPython that has them."""
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    try:
        return {name: address_of(getattr(ctypes.pythonapi, name)) for name in _FUNCTIONS}
    except AttributeError:
        return None


def address_of(function: Any) -> int:
    """The address of a C function that ctypes found."""
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


def object_address(value: object) -> int:
    """Where an object is, in CPython; it must be one that lives for ever."""
    return id(value)


def builtin(name: str, address: int, keep: object) -> Callable[..., Any]:
    """The C function `PyObject *f(PyObject *self, PyObject *const *args, Py_ssize_t nargs)` as a Python callable.

    The callable keeps `keep` alive, which is its `self`, together with what CPython itself only points to.
    """
    method = _MethodDef(name.encode(), address, _METH_FASTCALL, None)
    made: Callable[..., Any] = _new_builtin(ctypes.addressof(method), (method, keep), None)
    return made
