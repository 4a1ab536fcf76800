"""Whether a cluster could be made here and now: nothing but questions is sent."""

from .finding import Finding

__all__ = ["Finding"]
