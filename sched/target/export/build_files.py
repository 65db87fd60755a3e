"""What other build systems read: a package for CMake, and one for pkg-config."""

from __future__ import annotations

_CMAKE = """\
# find_package({name} CONFIG REQUIRED PATHS <this directory>), then link {name}::{name}
if(TARGET {name}::{name})
  return()
endif()
set(THREADS_PREFER_PTHREAD_FLAG ON)
include(CMakeFindDependencyMacro)
find_dependency(Threads)
add_library({name}::{name} {kind} IMPORTED)
set_target_properties({name}::{name} PROPERTIES
  {location} "${{CMAKE_CURRENT_LIST_DIR}}/{library}"
  INTERFACE_INCLUDE_DIRECTORIES "${{CMAKE_CURRENT_LIST_DIR}}"
  INTERFACE_LINK_LIBRARIES "Threads::Threads;m")
"""
_PKG_CONFIG = """\
prefix=${{pcfiledir}}

Name: {name}
Description: {name}, made by polysched
Version: {version}
Cflags: -I${{prefix}}
Libs: {link}
"""


def cmake_config(name: str, library: str | None) -> str:
    """NAME-config.cmake; `library` is the static library, or None where there is only the object file."""
    kind = "STATIC" if library is not None else "OBJECT"
    location = "IMPORTED_LOCATION" if library is not None else "IMPORTED_OBJECTS"
    return _CMAKE.format(name=name, kind=kind, location=location, library=library or f"{name}.o")


def pkg_config(name: str, library: str | None, version: str) -> str:
    """NAME.pc; pkg-config finds it when PKG_CONFIG_PATH has its directory."""
    link = f"${{prefix}}/{library or f'{name}.o'} -lm -lpthread"
    return _PKG_CONFIG.format(name=name, version=version, link=link)
