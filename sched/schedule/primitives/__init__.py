"""The schedule primitives, one a file; importing this package fills the registry."""

from .base import REGISTRY, Primitive, State
from .compute_root import ComputeRoot
from .fuse import Fuse
from .inline import Inline
from .parallel import Parallel
from .reorder import Reorder
from .reverse import Reverse
from .split import Split
from .tile import Tile
from .unroll import Unroll
from .vectorize import Vectorize

__all__ = [
    "REGISTRY", "ComputeRoot", "Fuse", "Inline", "Parallel", "Primitive", "Reorder", "Reverse", "Split", "State",
    "Tile", "Unroll", "Vectorize",
]  # fmt: skip
