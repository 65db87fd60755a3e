"""What a schedule costs, loop by loop, before it is run: `explain`, which `Schedule.explain` calls."""

from .explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
