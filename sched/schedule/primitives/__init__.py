"""The schedule primitives, one a file; importing this package fills the registry."""

from .align_storage import AlignStorage
from .base import REGISTRY, Primitive, State
from .block_steps import BlockSteps
from .cache_operand import CacheOperand
from .cache_read import CacheRead
from .cache_write import CacheWrite
from .compute_at import ComputeAt
from .compute_root import ComputeRoot
from .compute_with import ComputeWith
from .equation import Equation
from .fold_storage import FoldStorage
from .fuse import Fuse
from .inline import Inline
from .narrow import Narrow
from .parallel import Parallel
from .partition import Partition
from .peel import Peel
from .prefetch import Prefetch
from .reorder import Reorder
from .reorder_storage import ReorderStorage
from .reverse import Reverse
from .rfactor import Rfactor
from .separate import Separate
from .shift import Shift
from .skew import Skew
from .specialize import Specialize, Specialized
from .split import Split
from .store_at import StoreAt
from .store_streaming import StoreStreaming
from .tile import Tile
from .unroll import Unroll
from .vectorize import Vectorize

__all__ = [
    "REGISTRY", "AlignStorage", "BlockSteps", "CacheOperand", "CacheRead", "CacheWrite", "ComputeAt", "ComputeRoot",
    "ComputeWith", "Equation", "FoldStorage", "Fuse", "Inline", "Narrow", "Parallel", "Partition", "Peel", "Prefetch",
    "Primitive", "Reorder", "ReorderStorage", "Reverse", "Rfactor", "Separate", "Shift", "Skew", "Specialize",
    "Specialized", "Split", "State",
    "StoreAt", "StoreStreaming", "Tile", "Unroll", "Vectorize",
]  # fmt: skip
