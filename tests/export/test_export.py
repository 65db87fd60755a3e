"""What `export` writes: complete, right for compilers of C and C++, and the same every time."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

import polysched as ps
from polysched.errors import ArgumentError, TargetError
from polysched.target.export import PRODUCTS, linker
from polysched.target.export.archive import archive

from ..kernel_cases import CASES, matmul

compiler = shutil.which("cc") or shutil.which("gcc")
with_compiler = pytest.mark.skipif(compiler is None, reason="there is no C compiler")
FLAGS = ("-Wall", "-Wextra", "-pedantic", "-Werror", "-O1")


def compiled(directory: Path, *sources: str, language: str = "c99", flags: tuple[str, ...] = ()) -> Path:
    assert compiler is not None
    program = directory / "program"
    command = [compiler, f"-std={language}", *FLAGS, *flags, "-o", str(program), *sources, "-lm", "-lpthread"]
    subprocess.run(command, cwd=directory, check=True, timeout=120)
    return program


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    words = [str(part) for part in command]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=120, **options)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ps.target.export.Exported]:
    """All kernels of the cases, exported once."""
    place = tmp_path_factory.mktemp("exported")
    return {name: ps.export(case()[0], place / name, name=name) for name, case in CASES.items()}


def test_what_is_written(exported) -> None:
    made = exported["matmul"]
    assert [path.name for path in made.files.values() if made.missing == {}] == [
        *("matmul.h", "matmul.o", "matmul.json", "matmul.sched", "matmul.ll", "matmul.s"),
        *("libmatmul.a", "libmatmul.so", "matmul_bench.c", "matmul-config.cmake", "matmul.pc"),
    ]
    assert sorted(made.directory.iterdir()) == sorted(made.files.values())
    schedule, _ = matmul()
    text = made.files["schedule"].read_text()
    assert ps.Schedule.from_text(schedule.outputs, text).commands == schedule.commands
    assert "define hidden" in made.files["llvm"].read_text()
    assert "matmul:" in made.files["assembly"].read_text()
    assert str(made).splitlines()[0] == f"header     {made.files['header']}"


def test_the_description(exported) -> None:
    made = exported["matmul"]
    record = json.loads(made.files["json"].read_text())
    assert record["kernel"]["arrays"][1] == {
        "name": "B", "dtype": "float32", "shape": ["k", "m"], "output": False, "strides": "any"
    }  # fmt: skip
    assert record["kernel"]["sizes"][1] == {"name": "k", "min": 0, "multiple_of": 2}
    assert [p["type"] for p in record["c"]["parameters"][:3]] == ["const float *", "const float *", "float *"]
    assert record["target"]["triple"] == ps.Target().triple
    for name, file in record["files"].items():
        content = (made.directory / name).read_bytes()
        assert file == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert set(record["files"]) == {path.name for product, path in made.files.items() if product != "json"}


def test_the_same_kernel_gives_the_same_files(exported, tmp_path: Path) -> None:
    again = ps.export(matmul()[0], tmp_path, name="matmul")
    for product in set(PRODUCTS) - {"shared"}:
        assert again.files[product].read_bytes() == exported["matmul"].files[product].read_bytes(), product


@with_compiler
@pytest.mark.parametrize(
    ("name", "library"), [*((name, "object") for name in CASES), ("pipeline", "static"), ("window", "shared")]
)
def test_the_driver_checks_and_times(name: str, library: str, exported, tmp_path: Path) -> None:
    made = exported[name]
    assert compiler is not None
    program = compiled(
        tmp_path, str(made.files["driver"]), str(made.files[library]),
        flags=("-I", str(made.directory), f"-Wl,-rpath,{made.directory}"),
    )  # fmt: skip
    done = run(program, "--benchmark_min_time=0.001", "--threads=2", "--benchmark_format=json")
    assert done.stderr == f"{name}: checked, the same bits as when it was exported\n"
    assert done.returncode == 0
    report = json.loads(done.stdout)
    (row,) = report["benchmarks"]
    assert row["name"].startswith(name if name == "constant" else f"{name}/n:")
    assert row["real_time"] > 0
    assert row["threads"] == 2
    assert report["context"]["schedule"] == made.files["schedule"].read_text()


@with_compiler
def test_the_drivers_options(exported, tmp_path: Path) -> None:
    made = exported["matmul"]
    program = compiled(
        tmp_path, str(made.files["driver"]), str(made.files["object"]), flags=("-I", str(made.directory))
    )
    done = run(program, "n=5", "m=6s", "k=8", "--benchmark_min_time=0")
    assert "matmul/n:5/k:8/m:6 " in done.stdout
    for wrong in ("x=5", "n=", "n=many", "n=-4", "--threads=no", "--help"):
        done = run(program, wrong)
        assert (done.returncode, done.stdout) == (2, ""), wrong
        assert wrong in done.stderr
    for refused, words in (("k=7", "k must be a multiple of 2"), ("m=0", "m must be at least 1")):
        done = run(program, refused, "n=4")
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
    done = run(program, "n=1e15", "m=4e15")
    assert done.returncode == 2
    assert "there are no arrays of these sizes" in done.stderr


@with_compiler
def test_the_driver_notices_other_bits(exported, tmp_path: Path) -> None:
    made = exported["pipeline"]
    source = made.files["driver"].read_text()
    (tmp_path / "pipeline.h").write_text(made.files["header"].read_text())
    at = source.index("first != UINT64_C(0x") + len("first != UINT64_C(0x")
    (tmp_path / "changed.c").write_text(source[:at] + ("1" if source[at] == "0" else "0") + source[at + 1 :])
    program = compiled(tmp_path, "changed.c", str(made.files["object"]))
    done = run(program)
    assert done.returncode == 1
    assert "FAILED: the outputs have other bits than when it was exported" in done.stderr


@with_compiler
@pytest.mark.parametrize("language", ["c99", "c++17"])
def test_several_kernels_in_one_program(language: str, exported, tmp_path: Path) -> None:
    headers = "".join(f'#include "{name}.h"\n' for name in exported)
    calls = "".join(f"  if ({name}_message(0)[0] != 's') return 1;\n  {name}_release();\n" for name in exported)
    source = "program.cpp" if language.startswith("c++") else "program.c"
    (tmp_path / source).write_text(f"{headers}int main(void) {{\n{calls}  return 0;\n}}\n")
    flags = tuple(flag for made in exported.values() for flag in ("-I", str(made.directory)))
    libraries = tuple(str(made.files["static"]) for made in exported.values())
    program = compiled(tmp_path, source, *libraries, language=language, flags=flags)
    assert run(program).returncode == 0


@with_compiler
@pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no cmake")
def test_cmake_finds_it(exported, tmp_path: Path) -> None:
    made = exported["gather"]
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.15)\nproject(trial C)\n"
        f'find_package(gather CONFIG REQUIRED PATHS "{made.directory}" NO_DEFAULT_PATH)\n'
        f'add_executable(trial "{made.files["driver"]}")\ntarget_link_libraries(trial PRIVATE gather::gather)\n'
    )
    for arguments in (("-S", ".", "-B", "build"), ("--build", "build")):
        done = run("cmake", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert run(tmp_path / "build" / "trial", "--benchmark_min_time=0").returncode == 0


@with_compiler
@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="there is no pkg-config")
def test_pkg_config_finds_it(exported, tmp_path: Path) -> None:
    made = exported["extrema"]
    done = run(
        "pkg-config",
        "--cflags",
        "--libs",
        "extrema",
        env={"PKG_CONFIG_PATH": str(made.directory), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    program = tmp_path / "program"
    done = run(compiler, "-o", program, made.files["driver"], *done.stdout.split())
    assert done.returncode == 0, done.stderr
    assert run(program, "--benchmark_min_time=0").returncode == 0


def test_code_for_other_machines(tmp_path: Path) -> None:
    made = ps.export(matmul()[0], tmp_path / "arm", "aarch64", name="matmul")
    code = made.files["object"].read_bytes()
    assert code.startswith(b"\x7fELF")
    assert int.from_bytes(code[18:20], "little") == 183  # EM_AARCH64
    assert "fmla" in made.files["assembly"].read_text() or "fmadd" in made.files["assembly"].read_text()
    if "shared" in made.missing:
        assert "there is no C compiler to link for aarch64" in made.missing["shared"]
        with pytest.raises(TargetError, match="no C compiler to link for aarch64"):
            ps.export(matmul()[0], tmp_path / "arm", "aarch64", name="matmul", products=["shared"])
    made = ps.export(matmul()[0], tmp_path / "v3", "x86-64-v3", name="matmul", products=["assembly"])
    assert "zmm" not in made.files["assembly"].read_text()
    assert int.from_bytes(made.files["object"].read_bytes()[18:20], "little") == 62  # EM_X86_64


@pytest.mark.parametrize("triple", ["x86_64-pc-windows-msvc", "arm64-apple-darwin", "riscv64-unknown-linux-gnu"])
def test_code_for_other_systems(triple: str, tmp_path: Path) -> None:
    made = ps.export(matmul()[0], tmp_path, triple, name="matmul", products=["llvm", "driver"])
    text = made.files["llvm"].read_text()
    assert ("pthread_create" in text) == ("windows" not in triple)
    assert ("GOMP_parallel" in text) == ("linux" in triple)
    assert "0 ?" in made.files["driver"].read_text()  # no bits are known
    if "darwin" in triple:
        with pytest.raises(TargetError, match="Apple's linkers read another format"):
            ps.export(matmul()[0], tmp_path, triple, name="matmul", products=["static"])


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    made = ps.export(matmul()[0], tmp_path / "out", name="matmul")
    assert list(made.missing) == ["shared"]
    assert made.missing["shared"].startswith("no shared library: there is no C compiler")
    assert "static" in made.files
    assert "not written: no shared library" in str(made)
    with pytest.raises(TargetError, match="no shared library: there is no C compiler"):
        ps.export(matmul()[0], tmp_path / "out", name="matmul", products=["shared"])


@with_compiler
def test_a_compiler_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("false", "#!/bin/sh\necho no luck >&2\nexit 1\n"), ("sleepy", "#!/bin/sh\nexec sleep 60\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(linker, "_TIMEOUT", 0.2)
    for name, words in (("false", "could not link it: no luck"), ("sleepy", "timed out")):
        monkeypatch.setenv("CC", str(tmp_path / name))
        with pytest.raises(TargetError, match=words):
            ps.export(matmul()[0], tmp_path / "out", name="matmul", products=["shared"])


def test_the_index_of_a_static_library() -> None:
    made = archive("a.o", b"code!", ["first", "second"])
    assert made.startswith(b"!<arch>\n/  ")
    index = made[68:]
    assert index[:4] == (2).to_bytes(4, "big")
    offset = int.from_bytes(index[4:8], "big")
    assert made[offset : offset + 4] == b"a.o/"
    assert made[offset + 60 :] == b"code!\n"
    assert index[12:25] == b"first\0second\0"


def named(argument: str, size: str = "n") -> ps.Schedule:
    n = ps.size_var(size)
    A = ps.placeholder((n,), "int32", name=argument)
    return ps.Schedule(ps.compute((n,), lambda i: A[i] + 1, name="out"))


@with_compiler
@pytest.mark.parametrize("argument", ["I", "context", "f", "été", "p_short", "class"])
def test_names_that_c_does_not_take_are_changed(argument: str, tmp_path: Path) -> None:
    made = ps.export(named(argument, "short"), tmp_path, name="f")
    program = compiled(tmp_path, "f_bench.c", "f.o", language="gnu99", flags=("-include", "complex.h"))
    done = run(program, "--benchmark_min_time=0")
    assert done.returncode == 0, done.stderr
    size = "p_short_2" if argument == "p_short" else "p_short"
    assert f"/{size}:512" in done.stdout
    assert "extents of the" not in made.files["header"].read_text()
    header = made.files["header"].read_text()
    assert header.isascii()
    if argument == "class":
        (tmp_path / "c.cpp").write_text('#include "f.h"\nint main() { return 0; }\n')
        compiled(tmp_path, "c.cpp", "f.o", language="c++17")


@pytest.mark.parametrize("name", ["", "2x", "a-b", "a b", "été", "int", "x" * 65, "_x", "a/../b", 'a"'])
def test_names_of_functions(name: str, tmp_path: Path) -> None:
    kernel = named("A").build()
    kernel.name = name
    with pytest.raises(TargetError, match="cannot name a function in C: give name="):
        kernel.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert kernel.export(tmp_path / "out", name="good", products=[]).files["object"].exists()


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    kernel = named("A").build()
    with pytest.raises(ArgumentError, match="export takes a Kernel or a Schedule, not a str"):
        ps.export("kernel", tmp_path)
    with pytest.raises(ArgumentError, match="export its schedule for another target"):
        ps.export(kernel, tmp_path, "aarch64")
    with pytest.raises(ArgumentError, match="there is no product 'wasm'; there are header, object"):
        kernel.export(tmp_path, products=["wasm"])
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="File exists"):
        kernel.export(tmp_path / "file")
    loaded = ps.load(kernel.export(tmp_path / "out").directory)
    with pytest.raises(TargetError, match="was loaded from an export: copy that directory"):
        loaded.export(tmp_path / "again")


def test_a_link_in_the_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "out" / "out.h").symlink_to(victim)
    named("A").build().export(tmp_path / "out")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "out" / "out.h").is_symlink()


def test_a_full_disk_leaves_no_half_files(tmp_path: Path) -> None:
    kernel = named("A").build()
    kernel.export(tmp_path / "out", products=[])
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            kernel.export(tmp_path / "out", products=[])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_kernel_from_the_cache_is_exported_like_a_built_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYSCHED_CACHE", "1")
    monkeypatch.setenv("POLYSCHED_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("POLYSCHED_CHECK", raising=False)
    schedule, _ = matmul()
    kernels = [schedule.build(), schedule.build()]
    assert "cache" in kernels[1].timings
    made = [kernel.export(tmp_path / str(k), name="matmul") for k, kernel in enumerate(kernels)]
    for product in set(PRODUCTS) - {"shared"}:
        assert made[0].files[product].read_bytes() == made[1].files[product].read_bytes()


def test_a_tile_that_is_large_at_all_sizes_leaves_a_driver(tmp_path: Path) -> None:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "float64", name="A")
    B = ps.compute((n, m), lambda i, j: A[i, j] + 1, name="B")
    C = ps.compute((n, m), lambda i, j: B[i, j] * 2, name="C")
    s = ps.Schedule(C)
    s[C].tile("i", "j", 400, 400)
    s[B].compute_at(C, "j_o")
    made = ps.export(s, tmp_path, products=["driver", "header", "object"])
    assert made.missing == {} and '"n"' in made.files["driver"].read_text()
