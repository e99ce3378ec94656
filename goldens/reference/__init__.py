"""What every op should give, said with other people's libraries.

`TABLE` maps the name of an op to a function that takes our parameters by name and returns a torch tensor, or several.
The functions are built from differentiable torch operations, so that one call to autograd yields the gradients.
"""

from collections.abc import Callable

from . import complex, conv, create, elementwise, index, linalg, linear, losses, nn, reductions, shape

FAMILIES = (create, elementwise, complex, reductions, linear, linalg, shape, index, conv, nn, losses)

TABLE: dict[str, Callable] = {name: function for family in FAMILIES for name, function in family.TABLE.items()}
