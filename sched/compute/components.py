"""Which things depend on each other in a circle, and an order of the circles: strongly connected components."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def components(nodes: Sequence[Node], needs: Callable[[Node], Iterable[Node]]) -> list[tuple[Node, ...]]:
    """The nodes in components, each after the components that it needs, otherwise in the given order (Tarjan 1972)."""
    place = {node: k for k, node in enumerate(nodes)}
    needed = [sorted({place[other] for other in needs(node) if other in place}) for node in nodes]
    found = _Search(needed).components()
    owner = {member: k for k, component in enumerate(found) for member in component}
    waiting = [{owner[n] for m in component for n in needed[m]} - {k} for k, component in enumerate(found)]
    order: list[tuple[Node, ...]] = []
    left = sorted(range(len(found)), key=lambda k: found[k][0])
    done: set[int] = set()
    while left:
        chosen = next(k for k in left if waiting[k] <= done)
        left.remove(chosen)
        done.add(chosen)
        order.append(tuple(nodes[member] for member in found[chosen]))
    return order


class _Search:
    """Depth-first, without recursion."""

    def __init__(self, successors: list[list[int]]) -> None:
        self.successors = successors
        self.index: dict[int, int] = {}
        self.low: dict[int, int] = {}
        self.stack: list[int] = []
        self.found: list[list[int]] = []

    def components(self) -> list[list[int]]:
        for node in range(len(self.successors)):
            if node not in self.index:
                self._visit(node)
        return self.found

    def _visit(self, root: int) -> None:
        path = [(root, iter(self.successors[root]))]
        self._enter(root)
        while path:
            node, rest = path[-1]
            child = next(rest, None)
            if child is None:
                path.pop()
                if path:
                    self.low[path[-1][0]] = min(self.low[path[-1][0]], self.low[node])
                self._leave(node)
            elif child not in self.index:
                self._enter(child)
                path.append((child, iter(self.successors[child])))
            elif child in self.stack:
                self.low[node] = min(self.low[node], self.index[child])

    def _enter(self, node: int) -> None:
        self.index[node] = self.low[node] = len(self.index)
        self.stack.append(node)

    def _leave(self, node: int) -> None:
        if self.low[node] == self.index[node]:
            first = self.stack.index(node)
            self.found.append(sorted(self.stack[first:]))
            del self.stack[first:]
