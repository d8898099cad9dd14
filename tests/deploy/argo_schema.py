"""Whether Argo would take a template as it is written: a strict check against the models of hera, a package on PyPI.

hera's models are generated from Argo's own OpenAPI document, but take unknown fields in silence, as Argo's API server
does with some; here an unknown field, a missing one and a value of another type are violations.
"""

import types
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

from hera.workflows import models
from pydantic import BaseModel, RootModel


def violations(template: dict[str, Any]) -> list[str]:
    """Each violation as "where: what"; none for a template that Argo knows all of."""
    return violations_of(models.WorkflowTemplate, without_nulls(template), "template")


def violations_of(kind: Any, value: Any, where: str = "value") -> list[str]:
    """The same for a part of one: a value without nulls against one of hera's models."""
    return list(_of(kind, value, where))


def without_nulls(value: Any) -> Any:
    """A copy without the members that are null, which Kubernetes drops too."""
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    return [without_nulls(member) for member in value] if isinstance(value, list) else value


def _of(kind: Any, value: Any, where: str) -> Iterator[str]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return
    if origin is typing.Annotated:
        yield from _of(arguments[0], value, where)
    elif origin in (typing.Union, types.UnionType):
        kinds = [list(_of(one, value, where)) for one in arguments if one is not types.NoneType]
        yield from min(kinds, key=len)
    elif origin in (list, dict):
        if not isinstance(value, origin):
            yield f"{where}: {type(value).__name__}, not {origin.__name__}"
            return
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for place, member in members:
            yield from _of(arguments[-1], member, f"{where}.{place}")
    elif isinstance(kind, type) and issubclass(kind, BaseModel | Enum):
        yield from _of_class(kind, value, where)
    elif kind in (str, int, float, bool):
        if type(value) is not kind and not (kind is float and type(value) is int):
            yield f"{where}: {value!r} is not {kind.__name__}"
    else:
        raise NotImplementedError(f"{where}: {kind}")  # a new kind in hera must not pass unseen


def _of_class(kind: type[BaseModel | Enum], value: Any, where: str) -> Iterator[str]:
    if issubclass(kind, RootModel):
        yield from _of(kind.model_fields["root"].annotation, value, where)
    elif issubclass(kind, BaseModel):
        yield from _of_model(kind, value, where)
    elif value not in [member.value for member in kind]:
        yield f"{where}: {value!r} is none of its values"


def _of_model(model: type[BaseModel], value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {type(value).__name__}, not an object"
        return
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key in value.keys() - fields.keys():
        yield f"{where}.{key}: unknown"
    for key, field in fields.items():
        if key in value:
            yield from _of(field.annotation, value[key], f"{where}.{key}")
        elif field.is_required():
            yield f"{where}.{key}: missing"
