"""What would make a deployment fail, leak or surprise, found in seconds before it is let out: one line a problem.

Each line says what is wrong and what to do. `before_compiling` looks at the settings and this machine, `in_template` at
what Metaflow made of them.
"""

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lib.argo.reachable import is_this_machine, problems_of, s3_problem, service_problem
from lib.argo.secretscan import secrets_in
from lib.errors import SettingsError
from lib.settings import ROOT, Settings

# Argo makes the names of pods and labels from a template's; Metaflow shortens longer ones.
NAME_LENGTH = 45
DATABASE_VARIABLE = "SHELFSORT_DATABASE_URL"
# What only deploying needs, by name on PyPI: see requirements-deploy.txt.
PACKAGES = {"kubernetes": "kubernetes", "tomli-w": "tomli_w"}
# What travels to the pods.
TRAVELLING = ("flows", "lib", "config")
_PINNED = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Machine:
    """What this machine's Metaflow is set to, in its environment or ~/.metaflowconfig."""

    datastore: str  # METAFLOW_DATASTORE_SYSROOT_S3
    endpoint: str  # METAFLOW_S3_ENDPOINT_URL, '' for Amazon's
    metadata: str  # METAFLOW_DEFAULT_METADATA
    service: str  # METAFLOW_SERVICE_URL
    environment: Mapping[str, str]
    root: Path = ROOT  # of the checkout
    service_in_pods: str = ""  # METAFLOW_SERVICE_INTERNAL_URL; '' for the same
    service_headers: Mapping[str, str] = field(default_factory=dict)  # METAFLOW_SERVICE_HEADERS


def before_compiling(settings: Settings, machine: Machine, *, allow_uncommitted: bool = False) -> list[str]:
    """The problems of the settings and of this machine; what may hang is given reachable.SECONDS."""
    return [
        *_image(settings.deployment.image),
        *_storage(settings, machine),
        *_metadata(machine),
        *_database(settings),
        *_model(settings, machine),
        *(f"settings: {where}; keep it in a Kubernetes secret" for where in secrets_in_settings(settings, machine)),
        *([] if allow_uncommitted else _uncommitted(machine.root)),
        *_packages(),
    ]


def in_template(
    template: Mapping[str, Any], packaged: Iterable[str], settings: Settings, machine: Machine
) -> list[str]:
    """The problems of a compiled template and the names of the files in its code package."""
    name = template["metadata"]["name"]
    containers = [part["container"] for part in template["spec"]["templates"] if part.get("container")]
    problems = [*_leaks(secrets_in(template, environment=machine.environment))]
    if len(name) > NAME_LENGTH:
        problems.append(f"{name}: has {len(name)} characters and Argo takes {NAME_LENGTH}; give a shorter --branch")
    if not all(_PINNED.fullmatch(container["image"]) for container in containers):
        problems.append("a pod's image is not the one in deployment.image; unset METAFLOW_KUBERNETES_CONTAINER_*")
    if any("--metadata=local" in " ".join(container["command"]) for container in containers):
        problems.append("pods would keep metadata to themselves; set METAFLOW_DEFAULT_METADATA=service")
    model = _packaged_model(settings, machine.root)
    missing = sorted({file.relative_to(machine.root).as_posix() for file in model} - {*packaged})
    if missing:
        problems.append(
            f"model: {missing[0]} does not travel with the code; publish the model to s3://, or add its suffix to "
            "@package_sources in flows/categorize.py"
        )
    return problems


def notes(machine: Machine) -> list[str]:
    """What is likely a mistake and may be none."""
    if machine.endpoint and is_this_machine(urlsplit(machine.endpoint).hostname or "?"):
        return [f"the pods are told to find S3 at {machine.endpoint}, which for a pod is itself and not this machine"]
    return []


def secrets_in_settings(settings: Settings, machine: Machine) -> list[str]:
    """Where the settings hold a secret: they travel in the code package, for all who can read the bucket."""
    return secrets_in(settings.model_dump(mode="json"), environment=machine.environment)


def _image(image: str) -> Iterator[str]:
    if not image:
        yield "deployment.image is empty; build the Dockerfile, push it, and name it by the digest that the push prints"
    elif not _PINNED.fullmatch(image):
        yield f"deployment.image {image!r} can change its content; write REGISTRY/NAME@sha256:DIGEST"
    elif set(image.rpartition(":")[2]) == {"0"}:
        yield f"deployment.image {image!r} is only an example; name your own by the digest that its push prints"


def _storage(settings: Settings, machine: Machine) -> Iterator[str]:
    places = {
        "METAFLOW_DATASTORE_SYSROOT_S3": machine.datastore,
        "deployment.output": settings.deployment.output,
    }
    if settings.model.startswith("s3://"):
        places["model"] = settings.model
    asked = {}
    for name, uri in places.items():
        if uri.startswith("s3://"):
            asked[f"{name} {uri}"] = partial(s3_problem, uri, endpoint=machine.endpoint, needs_content=name == "model")
        else:
            yield f"{name} is {uri!r}; pods can only reach s3://BUCKET/PREFIX, so set it to one"
    yield from problems_of(asked)


def _metadata(machine: Machine) -> Iterator[str]:
    wanted = "set METAFLOW_DEFAULT_METADATA=service and METAFLOW_SERVICE_URL"
    if machine.metadata != "service":
        yield f"Metaflow keeps metadata in {machine.metadata or 'nothing'!r}, which pods do not share; {wanted}"
    elif not machine.service:
        yield f"Metaflow keeps metadata in a service, but its address is not set; {wanted}"
    else:
        ask = partial(service_problem, machine.service, headers=machine.service_headers)
        yield from problems_of({f"METAFLOW_SERVICE_URL {machine.service}": ask})
        if is_this_machine(urlsplit(machine.service_in_pods or machine.service).hostname or "?"):
            yield (
                f"Metaflow's service at {machine.service_in_pods or machine.service} is not where pods look; set "
                "METAFLOW_SERVICE_INTERNAL_URL to its address within the cluster"
            )


def _database(settings: Settings) -> Iterator[str]:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    secret = settings.deployment.database_secret
    url = settings.database_url or settings.deployment.environment.get(DATABASE_VARIABLE, "")
    if not url:
        if not secret:
            yield (
                "the jobs' database would be a SQLite file, which pods do not share; put PostgreSQL's URL into a "
                f"Kubernetes secret as {DATABASE_VARIABLE} and name it in deployment.database_secret"
            )
        return
    try:
        parsed = make_url(url)
    except ArgumentError:
        yield "database_url is no URL; write postgresql+psycopg://USER@HOST/DATABASE"
        return
    host = str(parsed.query.get("host", parsed.host or ""))
    if parsed.get_backend_name() == "sqlite":
        yield "database_url is a SQLite file, which pods do not share; use PostgreSQL"
    elif parsed.get_backend_name() != "postgresql":
        yield f"database_url is {parsed.get_backend_name()!r}; use PostgreSQL: postgresql+psycopg://USER@HOST/DATABASE"
    elif is_this_machine(host):
        yield f"database_url names {host or 'no host'!r}, which pods cannot reach; name the database's own host"


def _model(settings: Settings, machine: Machine) -> Iterator[str]:
    if settings.model.startswith("s3://"):
        return
    if "://" in settings.model:
        yield f"model {settings.model}: pods cannot read it; publish the model to s3:// or below lib/models"
    elif not _packaged_model(settings, machine.root):
        yield f"model {settings.model}: does not travel with the code; publish the model to s3:// or below lib/models"


def _packaged_model(settings: Settings, root: Path) -> list[Path]:
    """The files of a model that can travel with the code; none where it lies elsewhere."""
    place = (root / settings.model).resolve()
    if "://" in settings.model or not any(place.is_relative_to(root / part) for part in ("lib", "config")):
        return []
    return [file for file in place.rglob("*") if file.is_file()]


def _uncommitted(root: Path) -> Iterator[str]:
    command = ["git", "-C", str(root), "status", "--porcelain", "--", *TRAVELLING]
    try:
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        yield f"{root} is no git checkout, so nobody could tell what was deployed; use one, or --allow-uncommitted"
        return
    if told:
        more = f" and {len(told) - 1} more" if len(told) > 1 else ""
        yield f"{told[0][3:]}{more}: not committed; commit what is to be deployed, or --allow-uncommitted"


def _packages() -> Iterator[str]:
    for name, package in PACKAGES.items():
        if find_spec(package) is None:
            yield f"the Python package {name} is missing; pip install -r requirements-deploy.txt"


def _leaks(found: Iterable[str]) -> Iterator[str]:
    """A line for each secret in a template, however many of its pods have it."""
    pods: dict[str, list[str]] = {}
    for one in found:
        pod, _, what = one.partition(" ")
        # Metaflow gives a pod's container its template's name.
        pods.setdefault(what.removeprefix(f"{pod} ").removeprefix("main "), []).append(pod)
    for what, names in pods.items():
        yield f"the template has {what}; {_way_out(what)} (in {', '.join(names)})"


def _way_out(where: str) -> str:
    if "METAFLOW_SERVICE_HEADERS" in where:
        return (
            "put METAFLOW_SERVICE_HEADERS into a secret of deployment.secrets and set "
            "METAFLOW_ARGO_WORKFLOWS_ENV_VARS_TO_SKIP=METAFLOW_SERVICE_HEADERS"
        )
    if "repo_url" in where:
        return "take the token out of the git remote's URL (git remote set-url, and a credential helper)"
    return "keep it in a Kubernetes secret and name that in deployment.secrets"


def machine_from(environment: Mapping[str, str]) -> Machine:
    """This machine as Metaflow sees it; SettingsError where Metaflow cannot read its own settings."""
    try:
        from metaflow import metaflow_config as config
    except Exception as error:  # of any kind, while it is imported
        said = " ".join(str(error).split())
        raise SettingsError(f"Metaflow's own settings: {said}; see METAFLOW_HOME and METAFLOW_PROFILE") from None
    return Machine(
        datastore=config.DATASTORE_SYSROOT_S3 or "",
        endpoint=config.S3_ENDPOINT_URL or "",
        metadata=config.DEFAULT_METADATA or "",
        service=config.SERVICE_URL or "",
        environment=environment,
        service_in_pods=config.SERVICE_INTERNAL_URL or "",
        service_headers=config.SERVICE_HEADERS or {},
    )
