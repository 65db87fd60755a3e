"""The schedule primitives, one a file; importing this package fills the registry."""

from .base import REGISTRY, Primitive, State
from .compute_at import ComputeAt
from .compute_root import ComputeRoot
from .fuse import Fuse
from .inline import Inline
from .parallel import Parallel
from .reorder import Reorder
from .reverse import Reverse
from .split import Split
from .store_at import StoreAt
from .tile import Tile
from .unroll import Unroll
from .vectorize import Vectorize

__all__ = [
    "REGISTRY", "ComputeAt", "ComputeRoot", "Fuse", "Inline", "Parallel", "Primitive", "Reorder", "Reverse", "Split",
    "State", "StoreAt", "Tile", "Unroll", "Vectorize",
]  # fmt: skip
