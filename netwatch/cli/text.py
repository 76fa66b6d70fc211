"""Commands that take text as it was typed.

typer checks the type of every value with pydantic, even of those that were not given, and importing pydantic takes as long as importing
numpy. Text needs no check. What is of any other type, and was given, goes typer's usual way; so does everything if typer changes.
"""

from typing import Any

from typer import Context
from typer.core import TyperCommand, TyperGroup


class _AsTyped:
    """In the place of typer's check of one parameter, until a value needs that."""

    def coerce(self, value: Any, param: Any, ctx: Context) -> Any:
        """The value of the type that the parameter is declared with."""
        wanted = param.type_descriptor.annotation
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if wanted is str and isinstance(value, str):
            return value
        if wanted == list[str] and isinstance(value, list | tuple):
            return list(value)
        param._runtime_param = None
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def _as_typed(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "_runtime_param", parameter) is None:  # typer's own and private: where there is none, none is replaced
            parameter._runtime_param = _AsTyped()
    return parameters


class TextCommand(TyperCommand):
    """A command that starts without pydantic where all that it is given is text."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, and ``--help``."""
        return _as_typed(super().get_params(ctx))


class TextGroup(TyperGroup):
    """The same for what stands in front of the commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, and ``--help``."""
        return _as_typed(super().get_params(ctx))
