"""The mini engine: numbers that remember what they were made of."""

from covector._core import Value

__all__ = ["Value"]
