"""What the command line names: workload files, and schedules in them as FILE:SCHEDULE."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from ...errors import DefinitionError
from ...schedule.suggestion import listed
from .workload import DEFAULT, Workload


def load_workload(file: str | Path) -> Workload:
    """Run a workload file, as `python FILE` would, and return the one Workload that it makes.

    Raises `DefinitionError` where the file is not there or does not make exactly one, and whatever the file raises.
    """
    path = Path(file).resolve()
    if path.is_dir():
        raise DefinitionError(f"{file} is a directory; a workload is one Python file")
    if not path.is_file():
        raise DefinitionError(f"there is no workload file {file}")
    name = f"polysched_workload_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{file} is no Python file, which a workload is")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where pickling and Numba look a function's module up
    directory = str(path.parent)
    sys.path.insert(0, directory)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, SyntaxError) and error.filename is None:  # null bytes, another encoding
            raise DefinitionError(f"{file} is no Python file, which a workload is: {error}") from None
        raise
    finally:
        sys.path.remove(directory)
    found = {id(value): value for value in vars(module).values() if isinstance(value, Workload)}
    own = [workload for workload in found.values() if workload.file.resolve() == path] or list(found.values())
    if len(own) != 1:
        raise DefinitionError(
            f"a workload file makes one ps.Workload, and {path.name} makes "
            + (f"{len(own)}: {listed(w.name for w in own)}" if own else "none")
        )
    return own[0]


def split_name(name: str) -> tuple[str, str]:
    """FILE:SCHEDULE as the two, with "default" where no schedule is named."""
    file, separator, schedule = name.rpartition(":")
    if not separator or (len(file) == 1 and schedule[:1] in ("/", "\\")):  # the drive of a path
        return name, DEFAULT
    return file, schedule or DEFAULT
