"""A loop program to the text of the module that runs it."""

from __future__ import annotations

from collections.abc import Mapping

from ...compute.dtypes import INDEX
from ..abi import OK, OUT_OF_MEMORY, ArrayParameter, Signature
from ..ir import Buffer, LoopProgram, Var
from .allocation import bind
from .blocks import release_function
from .emitter import EmittedKernel, Emitter, Machine
from .expressions import operand_of
from .halves import HALF_TYPES, is_half
from .lane_index import Operand, of_operand
from .module import Module
from .statements import emit
from .storage import Storage
from .values import Value, memory_element, truth


def emit_kernel(
    program: LoopProgram, signature: Signature, target: Machine, lines: Mapping[int, int] | None = None
) -> EmittedKernel:
    """The module that defines `@kernel` as `abi` says. The same program gives the same text in every process.

    lines  the line of each statement, by its id, that comments of its instructions name, for `with_debug_lines`
    """
    bits = target.vector_bits
    widths = f'"prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
    module = Module(target.triple, f'nounwind mustprogress "no-builtins" {widths}')
    module.lines = lines or {}
    e = Emitter(module, target)
    parameters = _bind_parameters(e, program, signature)
    emit(e, program.body)
    result = str(OK)
    if e.failure is not None:
        result = e.fn.result(f"load atomic i32, ptr {e.failure} monotonic, align 4")
    e.finish(f"i32 {result}")
    if e.on_failure is not None:
        e.fn.start(e.on_failure)
        e.fn.do(f"ret i32 {OUT_OF_MEMORY}")
    module.define(f"i32 @kernel({', '.join(parameters)})", e.fn.body())
    text = module.text()
    if module.cells:
        text += f"\n{release_function(tuple(module.cells))}\n"
    return EmittedKernel(text, tuple(e.notes))


def _bind_parameters(e: Emitter, program: LoopProgram, signature: Signature) -> list[str]:
    """The kernel's parameters; what they are called in the program is bound to them."""
    parameters: list[str] = []
    arrays = list(zip(signature.arrays, program.buffers, strict=True))
    for number, (array, _) in enumerate(arrays):
        parameters.append(f"ptr {_array_attributes(array)} %a{number}")
    for number, size in enumerate(signature.sizes):
        parameters.append(f"i64 %s{number}")
        e.parameters["size", size.name] = Value(f"%s{number}", INDEX)
    given: dict[Buffer, tuple[Operand, ...]] = {}
    for number, (array, buffer) in enumerate(arrays):
        if array.strides == "any":
            given[buffer] = tuple(f"%t{number}_{dimension}" for dimension in range(len(array.shape)))
            parameters.extend(f"i64 {stride}" for stride in given[buffer])
    for number, scalar in enumerate(signature.scalars):
        parameters.append(_bind_scalar(e, scalar.name, Value(f"%c{number}", scalar.dtype)))
    for number, (array, buffer) in enumerate(arrays):
        assert array.dtype == buffer.dtype, f"{array.name} is {array.dtype}, and its buffer {buffer.dtype}"
        for one in (buffer, *(others[number] for others in program.others)):
            e.buffers[one] = _storage(e, one, f"%a{number}", _array_attributes(array), given.get(buffer))
    return [*parameters, "ptr %parallel", "i32 %threads", "ptr noalias align 8 %status"]


def _array_attributes(array: ArrayParameter) -> str:
    readonly = "" if array.output else "readonly "
    return f"noalias {readonly}align 1"


def _bind_scalar(e: Emitter, name: str, value: Value) -> str:
    """The scalar's parameter."""
    if is_half(value.dtype):
        passed = HALF_TYPES[value.dtype.name]
        parameter, bits = f"{passed} {value.text}", e.fn.pure(f"bitcast {passed} {value.text} to i16")
        e.parameters["scalar", name] = Value(bits, value.dtype)
    elif value.dtype.kind == "bool":
        parameter = f"i8 {value.text}"
        e.parameters["scalar", name] = truth(e.fn.pure(f"icmp ne i8 {value.text}, 0"))
    else:
        parameter = f"{memory_element(value.dtype)} {value.text}"
        e.parameters["scalar", name] = value
    return parameter


def _storage(e: Emitter, buffer: Buffer, pointer: str, attributes: str, given: tuple[Operand, ...] | None) -> Storage:
    """An argument's storage. The strides that are passed are what the variables in `buffer.strides` stand for."""
    if given is None:
        shape = tuple(operand_of(e, extent) for extent in buffer.shape)
        return bind(e, buffer, shape, pointer, attributes, 1)
    if buffer.strides is None:
        return Storage(buffer.name, pointer, buffer.dtype, given, attributes, 1, packed=False)
    for stride, operand in zip(buffer.strides, given, strict=True):
        if isinstance(stride, Var):
            e.variables[stride] = of_operand(operand)
    return bind(e, buffer, (), pointer, attributes, 1)
