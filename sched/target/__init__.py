"""RUN: the machine, the JIT, the parallel runtime, and the kernels that users call."""
