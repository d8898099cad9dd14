"""Whether a resource fits the CustomResourceDefinition that an Argo version installs; unknown fields do not."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def schema_of(path: Path) -> dict[str, Any]:
    """The schema of a CRD's only version, from its gzipped YAML."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    crd = yaml.load(gzip.decompress(path.read_bytes()), Loader=loader)
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"x-kubernetes-preserve-unknown-fields": True}  # Kubernetes knows those itself
    return schema


def violations(schema: dict[str, Any], value: Any, where: str = "template") -> Iterator[str]:
    """Each place where a value without nulls does not fit, with the reason."""
    if schema.get("x-kubernetes-int-or-string"):
        if type(value) not in (int, str):
            yield f"{where}: neither an integer nor a string"
        return
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{where}: {type(value).__name__}, not {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of its values"
    if isinstance(value, list):
        for at, member in enumerate(value):
            yield from violations(schema.get("items", {}), member, f"{where}[{at}]")
    if isinstance(value, dict):
        yield from (f"{where}.{key}: missing" for key in schema.get("required", []) if key not in value)
        known = schema.get("properties", {})
        others = schema.get("additionalProperties")
        open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or not known
        for key, member in value.items():
            if key in known:
                yield from violations(known[key], member, f"{where}.{key}")
            elif isinstance(others, dict):
                yield from violations(others, member, f"{where}.{key}")
            elif not open_ended:
                yield f"{where}.{key}: unknown"
