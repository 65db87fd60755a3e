"""Static libraries in the format of System V and GNU, which linkers for ELF and COFF read, without a program to write
them."""

from __future__ import annotations

from collections.abc import Sequence

_MAGIC = b"!<arch>\n"


def archive(name: str, code: bytes, symbols: Sequence[str]) -> bytes:
    """The library of one object file, called `name` of at most 15 characters in it, and the symbols that it defines."""
    assert 0 < len(name) <= 15, name
    names = b"".join(symbol.encode() + b"\0" for symbol in symbols)
    length = 4 + 4 * len(symbols) + len(names)
    offset = len(_MAGIC) + 60 + length + length % 2
    index = len(symbols).to_bytes(4, "big") + offset.to_bytes(4, "big") * len(symbols) + names
    return _MAGIC + _member("/", index) + _member(f"{name}/", code)


def _member(name: str, content: bytes) -> bytes:
    """A member with the same owner and date whoever makes it when, so that the same code is the same library."""
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644' if name != '/' else '0':<8}{len(content):<10}`\n".encode()
    return head + content + b"\n" * (len(content) % 2)
