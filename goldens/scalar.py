"""A scalar autodiff engine in a page: what micrograd computes, with the order of every sum fixed.

Micrograd keeps the operands of a node in a Python set, so its backward pass visits them by memory address and its
gradients differ in the last digits from run to run. Here operands are visited first to second, depth first; that order
gives the figures of the published notebook to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable


class Value:
    """A number, the numbers it came from, and how a cotangent goes back to them."""

    __slots__ = ("data", "grad", "operands", "pull_back")

    def __init__(self, data: float, operands: tuple[Value, ...] = (), pull_back: Callable[[float], None] | None = None):
        self.data = data
        self.grad = 0.0
        self.operands = operands
        self.pull_back = pull_back

    def __add__(self, other: Value | float) -> Value:
        other = lift(other)

        def pull_back(g: float) -> None:
            self.grad += g
            other.grad += g

        return Value(self.data + other.data, (self, other), pull_back)

    def __mul__(self, other: Value | float) -> Value:
        other = lift(other)

        def pull_back(g: float) -> None:
            self.grad += other.data * g
            other.grad += self.data * g

        return Value(self.data * other.data, (self, other), pull_back)

    def __pow__(self, exponent: float) -> Value:
        def pull_back(g: float) -> None:
            self.grad += exponent * self.data ** (exponent - 1) * g

        return Value(self.data**exponent, (self,), pull_back)

    def relu(self) -> Value:
        def pull_back(g: float) -> None:
            self.grad += g if self.data > 0 else 0.0

        return Value(max(self.data, 0.0), (self,), pull_back)

    def __neg__(self) -> Value:
        return self * -1.0

    def __sub__(self, other: Value | float) -> Value:
        return self + -other

    def __truediv__(self, other: Value | float) -> Value:
        return self * lift(other) ** -1

    def __rtruediv__(self, other: float) -> Value:
        return other * self**-1

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self) -> None:
        """Adds to `grad` of every number behind this one the derivative of this one by it."""
        self.grad = 1.0
        for value in reversed(self.depth_first()):
            if value.pull_back is not None:
                value.pull_back(value.grad)

    def depth_first(self) -> list[Value]:
        """Everything behind this number, operands before results, the first operand before the second."""
        order: list[Value] = []
        seen: set[Value] = set()
        stack = [(self, False)]
        while stack:
            value, done = stack.pop()
            if done:
                order.append(value)
            elif value not in seen:
                seen.add(value)
                stack.append((value, True))
                stack.extend((operand, False) for operand in reversed(value.operands))
        return order


def lift(x: Value | float) -> Value:
    return x if isinstance(x, Value) else Value(x)
