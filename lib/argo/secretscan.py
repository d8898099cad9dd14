"""Finds what looks like a secret in a document that others will read, such as a compiled workflow template.

Four signs: a value under a name that promises a secret; the known form of a service's token; a password or token in a
URL; and letters as random as a key's. Besides, the value of any secret variable of this process's own environment.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

_NAME = re.compile(
    r"secret|token|passw|webhook|api.?key|access.?key|private.?key|credential|authorization|headers|_auth$", re.I
)
# Names that promise a secret and hold none: Metaflow's production token guards against mistakes (it is readable in the
# template by design), the others are names of secrets, of a backend, or the word that says how events are authorized.
_HARMLESS = {
    "METAFLOW_PRODUCTION_TOKEN",
    "METAFLOW_DEFAULT_SECRETS_BACKEND_TYPE",
    "METAFLOW_ARGO_WORKFLOWS_KUBERNETES_SECRETS",
    "METAFLOW_KUBERNETES_SECRETS",
    "METAFLOW_ARGO_EVENTS_WEBHOOK_AUTH",
    "metaflow/production_token",
    "production_token",
    "automountServiceAccountToken",
    "database_secret",
    "secretKeyRef",
    "secretRef",
    "secrets",
}
_EMPTY = ("", "{}", "[]", "null", "None", '""')
_FORMS = re.compile(
    r"hooks\.slack\.com/services/\w|\bxox[a-z]-\w{8}|\bgh[a-z]_\w{20}|\bgithub_pat_\w{20}|\bglpat-[\w-]{12}|\b(AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|\beyJ[\w-]{10,}\.[\w-]{10,}\.|\bBearer\s+\w|\bsk-[\w-]{16}"
)
_USERINFO = re.compile(r"\b([a-z][a-z0-9+.-]*)://([^\s/@\"'?#]+)@", re.I)
_PASSWORD = re.compile(r"://[^\s/@:]*:([^\s/@]+)@")
_WORD = re.compile(r"[A-Za-z0-9+=_-]{20,}")
# Of 20 letters and digits drawn at random, 999 of 1,000 have more bits a letter than this; prose and names have fewer.
_RANDOM_BITS = 3.5
_SHORTEST_VALUE = 8


def secrets_in(document: Any, *, environment: Mapping[str, str]) -> list[str]:
    """Where a JSON-like document holds a secret, and by what sign, a phrase each; never the secret itself."""
    own = dict(_own_secrets(environment))
    found = (f"{where}: {sign}" for where, name, value in _values(document) if (sign := _sign(name, value, own)))
    return list(dict.fromkeys(found))


def _own_secrets(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each secret among environment variables, with the variable's name."""
    for name, value in environment.items():
        password = _PASSWORD.search(value)
        if password and len(password[1]) >= _SHORTEST_VALUE:
            yield password[1], name
        promising = _NAME.search(name) and name not in _HARMLESS and not name.endswith(("_FILE", "_PATH", "_DIR"))
        if promising and len(value) >= _SHORTEST_VALUE:
            yield value, name


def _sign(name: str, value: str, own: Mapping[str, str]) -> str:
    """Why a value looks like a secret; '' when it does not."""
    if name in _HARMLESS:
        return ""
    form = _FORMS.search(value)
    variable = next((own[secret] for secret in own if secret in value), "")
    users = [user for scheme, user in _USERINFO.findall(value) if ":" in user or scheme.lower().startswith("http")]
    signs = {
        "a value under a secret's name": _NAME.search(name) and value.strip() not in _EMPTY,
        f"the value of {variable}": variable,
        f"the form of a token ({form[0][:4] if form else ''}...)": form,
        "a password or token in a URL": users,
        "letters as random as a key's": any(_is_random(word) for word in _WORD.findall(value)),
    }
    return next((sign for sign, seen in signs.items() if seen), "")


def _values(document: Any, where: str = "", name: str = "") -> Iterator[tuple[str, str, str]]:
    """Each text: where it is, the name it stands under, and itself; JSON in a text is looked into."""
    if isinstance(document, Mapping):
        if {"name", "value"} <= {*document} and isinstance(document["name"], str):
            # An environment variable, or a parameter.
            yield from _values(document["value"], f"{where} {document['name']}".strip(), document["name"])
            return
        inner = f"{where} {document['name']}" if isinstance(document.get("name"), str) else where
        for key, value in document.items():
            yield from _values(value, inner.strip(), str(key))
    elif isinstance(document, list | tuple):
        for value in document:
            yield from _values(value, where, name)
    elif isinstance(document, str):
        place = where if where.endswith(name) else f"{where} {name}".strip()
        try:
            parsed = json.loads(document)
        except ValueError:
            parsed = None
        if isinstance(parsed, dict | list) and not (_NAME.search(name) and name not in _HARMLESS):
            yield from _values(parsed, place, name)
        else:
            yield place, name, document


def _is_random(word: str) -> bool:
    kinds = (any(map(str.islower, word)), any(map(str.isupper, word)), any(map(str.isdigit, word)))
    bits = -sum(n / len(word) * math.log2(n / len(word)) for n in Counter(word).values())
    return all(kinds) and bits > _RANDOM_BITS
