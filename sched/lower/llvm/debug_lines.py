"""Which line of loop IR an instruction comes from: comments of the emitter's made into LLVM's debug locations, which
lead through optimisation and code generation to .loc directives between the lines of assembly."""

from __future__ import annotations

import re

MARK = " ; line "
_MARKED = re.compile(rf"^(.*){MARK}(\d+)$")
_NODE = re.compile(r"^!(\d+) = ", re.MULTILINE)


def with_debug_lines(text: str) -> str:
    """The module with a debug location for each instruction that has a mark."""
    number = max((int(found) for found in _NODE.findall(text)), default=-1) + 1
    unit, file, kind, version = range(number, number + 4)
    nodes = [
        f"!{unit} = distinct !DICompileUnit(language: DW_LANG_C99, file: !{file}, isOptimized: true, "
        "runtimeVersion: 0, emissionKind: DebugDirectivesOnly)",
        f'!{file} = !DIFile(filename: "loops", directory: "")',
        f"!{kind} = !DISubroutineType(types: !{{}})",
        f'!{version} = !{{i32 2, !"Debug Info Version", i32 3}}',
        f"!llvm.dbg.cu = !{{!{unit}}}",
        f"!llvm.module.flags = !{{!{version}}}",
    ]
    number += 4
    functions: list[str] = []
    for part in re.split(r"(?m)^(?=define )", text):
        scope, places, lines = number, dict[str, int](), list[str]()
        for line in part.split("\n"):
            match = _MARKED.match(line)
            if match is None:
                lines.append(line)
                continue
            place = places.setdefault(match[2], scope + 1 + len(places))
            lines.append(f"{match[1]}, !dbg !{place}")
        if places:
            lines[0] = re.sub(r" \{$", f" !dbg !{scope} {{", lines[0])
            nodes.append(
                f'!{scope} = distinct !DISubprogram(name: "f{scope}", scope: !{file}, file: !{file}, type: !{kind}, '
                f"unit: !{unit}, spFlags: DISPFlagDefinition | DISPFlagOptimized)"
            )
            nodes += [f"!{place} = !DILocation(line: {line}, scope: !{scope})" for line, place in places.items()]
            number += 1 + len(places)
        functions.append("\n".join(lines))
    return "".join(functions) + "\n" + "\n".join(nodes) + "\n"
