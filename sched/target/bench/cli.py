"""`polysched`, the command: bench, show, check, export, machine, compare.

Exit status: 0 as asked; 1 the answer is no (a refused schedule, a wrong result, a regression); 2 it could not be asked
(no such file, schedule, option). 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ...errors import PolyschedError
from . import commands
from .faults import fault_of_user
from .options import assignments, integers, names
from .terminal import open_terminal

_STAGES = "nest, isl, loops, llvm, asm, explain, or a pass as in loops-vectorize"


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, and return its exit status."""
    options = parser().parse_args(arguments)
    terminal = open_terminal(plain=options.plain, quiet=getattr(options, "quiet", False))
    try:
        return int(options.command(options, terminal))
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        terminal.done()
        return 130
    except Exception as error:
        terminal.done()
        said = _said(error)
        if said is None or options.traceback:
            raise
        print(f"polysched: {said}", file=sys.stderr)
        return 2


def _said(error: Exception) -> str | None:
    """An error in words; None for one that polysched should not have made."""
    match error:
        case PolyschedError() | argparse.ArgumentTypeError():
            return commands.words(error)
        case MemoryError():
            return f"there is not enough memory: {error}"
    fault = fault_of_user(error)
    return None if fault is None else f"{fault}; polysched --traceback shows the calls that led there"


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="polysched",
        description="Measure, look at, check and export schedules of tensor computations.",
        epilog="A workload is a Python file that makes one ps.Workload; FILE:SCHEDULE names a schedule in it, or "
        "FILE:PATH.sched one in a file. The tutorial is tutorials/10_measuring_honestly.py, the manual docs/bench.md.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the versions of polysched and what it uses")
    top.add_argument("--plain", action="store_true", help="plain text, even where rich is installed")
    top.add_argument("--traceback", action="store_true", help="show where an error was raised, call by call")
    sub = top.add_subparsers(required=True, metavar="COMMAND")
    _bench(sub)
    _show(sub)
    _check(sub)
    _export(sub)
    _machine(sub)
    _compare(sub)
    for command in sub.choices.values():  # where people write them
        for option in ("--plain", "--traceback"):
            command.add_argument(option, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return top


def _bench(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = sub.add_parser("bench", help="check and measure the schedules of a workload")
    p.set_defaults(command=commands.bench)
    p.add_argument("file", metavar="FILE", help="a Python file that makes a ps.Workload")
    p.add_argument("--schedule", type=names, metavar="A,B,...", help="these schedules; all of them by default")
    _sizes(p)
    _parameters(p)
    p.add_argument("--threads", type=integers, metavar="1,2,...", help="numbers of threads to measure on")
    p.add_argument("--peer", type=names, default=[], metavar="numpy,...", help="other implementations in the workload")
    p.add_argument("--cache", choices=("warm", "cold", "both"), default="warm", help="state of the caches; warm")
    p.add_argument("--time", type=_positive, default=1.0, metavar="SECONDS", help="for each contender, on average; 1")
    p.add_argument(
        "--precision", type=_positive, default=1.0, metavar="PERCENT",
        help="stop earlier when all medians are known this well; 1",
    )  # fmt: skip
    p.add_argument("--no-peaks", action="store_true", help="do not measure the machine's limits")
    p.add_argument("--quiet", action="store_true", help="no progress")
    for kind, what in (("json", "results in Google Benchmark's format"), ("csv", "a line a row"), ("html", "a report")):
        p.add_argument(f"--{kind}", metavar="OUT", help=f"write {what}")
    p.add_argument(
        "--plot", metavar="OUT", help="draw the roofline, or schedules against sizes where there are several"
    )


def _show(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = sub.add_parser("show", help="show a schedule at any stage, or two side by side")
    p.set_defaults(command=commands.show)
    p.add_argument("schedule", metavar="FILE:SCHEDULE", help="a schedule of a workload file, or FILE:PATH.sched")
    p.add_argument("--stage", default="nest", help=f"{_STAGES}; nest by default")
    p.add_argument("--diff", metavar="OTHER", help="another schedule of the same file, or OTHERFILE:SCHEDULE")
    _sizes(p)
    _parameters(p)
    _target(p)


def _check(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = sub.add_parser("check", help="say whether a schedule is legal, and show the witness if it is not")
    p.set_defaults(command=commands.check)
    p.add_argument("schedule", metavar="FILE:SCHEDULE", help="a schedule of a workload file, or FILE:PATH.sched")
    p.add_argument("--text", action="store_true", help="print the schedule's text if it is legal")
    _sizes(p)
    _parameters(p)


def _export(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = sub.add_parser("export", help="write a schedule's kernel for C")
    p.set_defaults(command=commands.export)
    p.add_argument("schedule", metavar="FILE:SCHEDULE", help="a schedule of a workload file, or FILE:PATH.sched")
    p.add_argument("-o", "--output", required=True, metavar="DIR")
    p.add_argument("--name", help="what the function is called in C; the name of the output by default")
    p.add_argument("--product", type=names, metavar="header,...", help="only these; all that can be made by default")
    _sizes(p)
    _parameters(p)
    _target(p)


def _machine(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = sub.add_parser("machine", help="describe and measure this machine")
    p.set_defaults(command=commands.machine)
    p.add_argument("--threads", type=integers, metavar="1,2,...", help="numbers of threads to measure; 1 and all")
    p.add_argument("--time", type=_positive, default=0.2, metavar="SECONDS", help="for each number; 0.2")
    p.add_argument("--json", metavar="OUT", help="write it as JSON, - for standard output")


def _compare(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = sub.add_parser("compare", help="compare two files of results; status 1 if something has become slower")
    p.set_defaults(command=commands.compare_files)
    p.add_argument("before", metavar="A.json")
    p.add_argument("after", metavar="B.json")
    p.add_argument("--threshold", type=_positive, default=5.0, metavar="PERCENT", help="a smaller change is none; 5")


def _sizes(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--size", type=assignments, action="extend", default=[], metavar="n=1024,...",
        help="values of a size, or of several at once as in n=m=k=256,512",
    )  # fmt: skip


def _parameters(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--param", type=assignments, action="extend", default=[], metavar="mr=4..8",
        help="values of a schedule's parameter: a list, a range, or a range with a step as in 16..64:16",
    )  # fmt: skip


def _target(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--target", default="native", help="native, x86-64 to x86-64-v4, aarch64, or an LLVM triple; native by default"
    )


class _Version(argparse.Action):
    """Prints versions, which takes the imports that parsing does without."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        from ..versions import versions  # noqa: PLC0415 - only when it is asked for

        print(", ".join(f"{name} {version}" for name, version in versions().items()))
        parser.exit()


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return value


if __name__ == "__main__":
    sys.exit(main())
