"""Deploy CategorizeFlow to Argo Workflows, after checks that refuse what would fail, leak or surprise.

python -m lib.deploy                    deployments of their own for this git branch, beside production
python -m lib.deploy --production       the production deployments
python -m lib.deploy --check            the checks alone

Two each time: one for any file, and one for small files (settings [deployment.small]), which do not queue behind it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

try:
    from lib.argo.cluster import cluster_problem, production_token
    from lib.argo.preflight import Machine, before_compiling, in_template, machine_from, notes
    from lib.argo.reachable import problems_of
    from lib.errors import SettingsError
    from lib.importjobs.sharing import LARGE_BYTES
    from lib.settings import ROOT, Settings, parse, settings_of
except ModuleNotFoundError as missing:
    if str(missing.name).startswith("lib"):
        raise
    sys.exit(f"refused: the Python package {missing.name} is missing; pip install -r requirements-deploy.txt")

FLOW = ROOT / "flows" / "categorize.py"
CONFIG = ROOT / "config" / "production.toml"
SMALL = "small"  # of the second deployment's branch, and its file of settings


@dataclass(frozen=True)
class Deployment:
    """A template to be made."""

    config: Path
    settings: Settings
    branch: tuple[str, ...]  # the flow's options that say which it is
    purpose: str


def main(arguments: Sequence[str]) -> int:
    """Check, compile, check again and deploy; 0 when deployed (or, with --check, fit to be), else 1."""
    given = _parser().parse_args(arguments)
    try:
        settings = _settings(given.config)
        branch = ["--production"] if given.production else ["--branch", _valid_branch(given.branch or _git_branch())]
        machine = machine_from(os.environ)
    except SettingsError as error:
        return _refused([str(error)])
    problems = before_compiling(settings, machine, allow_uncommitted=given.allow_uncommitted)
    if not problems and not given.check:
        problems = [*problems_of({"the cluster": partial(cluster_problem, settings.deployment.namespace)})]
    if problems:
        return _refused(problems)
    for note in notes(machine):
        print(f"note: {note}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        wanted = deployments(given.config, settings, branch, folder=Path(folder))
        names, problems = _checked(wanted, machine)
        if problems:
            return _refused(problems)
        for name, one in zip(names, wanted, strict=True):
            print(f"{name}: fit to be deployed to namespace {settings.deployment.namespace}, {one.purpose}", flush=True)
        if given.check:
            return 0
        for name, one in zip(names, wanted, strict=True):
            if said := _created(one, name=name, take_over=given.take_over):
                print(f"failed: {name}: {said}", file=sys.stderr)
                return 1
    print(f'deployed; who submits sets [jobs] runner = "argo", template = "{names[0]}", template_small = "{names[1]}"')
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lib.deploy", description="Deploy CategorizeFlow to Argo Workflows, after checks."
    )
    parser.add_argument("--config", type=Path, default=CONFIG, help="the settings (config/production.toml)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--production", action="store_true", help="the production deployment")
    which.add_argument("--branch", help="deployments of this name, not the current git branch's")
    parser.add_argument("--check", action="store_true", help="only check; deploy nothing")
    parser.add_argument("--allow-uncommitted", action="store_true", help="deploy what is not committed, too")
    parser.add_argument("--take-over", action="store_true", help="replace what another user has deployed")
    return parser


def deployments(config: Path, settings: Settings, branch: Sequence[str], *, folder: Path) -> list[Deployment]:
    """The two deployments of a branch: for any file, and for small ones, whose settings are written to the folder."""
    import tomli_w

    small = settings.model_copy(update={"deployment": settings.deployment.for_small()})
    path = folder / f"{SMALL}.toml"
    path.write_text(tomli_w.dumps(small.model_dump(mode="json")), "utf-8")
    # `--production`, or `--branch NAME`.
    own = [*branch[:1], f"{branch[1]}_{SMALL}"] if branch[1:] else [*branch, "--branch", SMALL]
    megabytes = LARGE_BYTES // 10**6
    return [
        Deployment(config, settings, tuple(branch), "for all files"),
        Deployment(path, small, tuple(own), f"for files up to {megabytes} MB"),
    ]


def _checked(wanted: Sequence[Deployment], machine: Machine) -> tuple[list[str], list[str]]:
    """The templates' names, and what is wrong with them, each thing once."""
    names, problems = [], []
    for one in wanted:
        try:
            template = compiled(one.config, one.settings, branch=one.branch)
            names.append(template["metadata"]["name"])
            problems += in_template(template, packaged(packaged_bytes(template, machine)), one.settings, machine)
        except SettingsError as error:
            problems.append(str(error))
    return names, list(dict.fromkeys(problems))


def _created(wanted: Deployment, *, name: str, take_over: bool) -> str:
    """Make a template in the cluster, printing what Metaflow says; gives why it could not be made, '' where it is."""
    line = _command(wanted.config, wanted.settings, wanted.branch)
    if take_over and (token := production_token(wanted.settings.deployment.namespace, name)):
        line += ["--authorize", token]
    done = subprocess.run(line, check=False, capture_output=True, text=True, env=_environment(wanted.settings))
    if done.returncode:
        said = _last_said(done.stderr)
        return "another user has deployed it; --take-over replaces theirs" if "production token" in said else said
    print(done.stdout + done.stderr, end="", flush=True)
    return ""


def compiled(config: Path, settings: Settings, *, branch: Sequence[str]) -> dict[str, Any]:
    """The workflow template that would be deployed; it stores the code package on S3, and asks no cluster.

    Raises SettingsError with what Metaflow says when it cannot compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        command = [*_command(config, settings, branch), "--only-json", "--deployer-attribute-file", str(told)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=_environment(settings))
        if done.returncode or not told.exists():
            raise SettingsError(f"Metaflow cannot compile the flow: {_last_said(done.stderr)}")
        template: dict[str, Any] = json.loads(told.read_text("utf-8"))["additional_info"]["workflow_template"]
    return template


def packaged(content: bytes) -> list[str]:
    """The names of the files in a code package."""
    import io
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getnames()


def packaged_bytes(template: Mapping[str, Any], machine: Machine) -> bytes:
    """A template's code package, a gzipped tar, from where its pods will fetch it."""
    import boto3

    containers = (part["container"] for part in template["spec"]["templates"] if part.get("container"))
    variables = {entry["name"]: entry.get("value") for container in containers for entry in container["env"]}
    bucket, _, key = str(variables["METAFLOW_CODE_URL"]).removeprefix("s3://").partition("/")
    client = boto3.Session().client("s3", **({"endpoint_url": machine.endpoint} if machine.endpoint else {}))
    return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())


def _command(config: Path, settings: Settings, branch: Sequence[str]) -> list[str]:
    deployment = settings.deployment
    options = {
        "max-workers": deployment.parallel_batches,
        "workflow-priority": deployment.priority,
        "workflow-timeout": deployment.timeout_hours * 3600,
    }
    return [
        *(sys.executable, str(FLOW), "--config", "settings", str(config.resolve())),
        *("--datastore", "s3", "--metadata", "service", "--environment", "local", *branch),
        *("argo-workflows", "create", "--no-auto-emit-argo-events"),
        *(word for name, value in options.items() for word in (f"--{name}", str(value))),
    ]


def _environment(settings: Settings) -> dict[str, str]:
    # Metaflow would write its service's key into the template; left out, the pods take it from their secrets.
    skipped = {"METAFLOW_ARGO_WORKFLOWS_ENV_VARS_TO_SKIP": "METAFLOW_SERVICE_HEADERS"}
    return {**skipped, **os.environ, "METAFLOW_KUBERNETES_NAMESPACE": settings.deployment.namespace}


def _last_said(printed: str) -> str:
    """What our own code or, at least, a failing command of Metaflow's said at its end, as one line."""
    lines = [" ".join(line.split()) for line in printed.splitlines() if line.strip()]
    ours = next((line for line in reversed(lines) if line.startswith("Shelfsort: ")), "")
    # A traceback's last line names the error, and so does Metaflow's own.
    return ours.removeprefix("Shelfsort: ") or " ".join(lines[-1:]) or "it says nothing"


def _settings(path: Path) -> Settings:
    try:
        return settings_of(parse(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "is not UTF-8"
        raise SettingsError(f"{path}: {said}; give --config a TOML file") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def _valid_branch(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,100}", name):
        raise SettingsError(f"--branch {name}: write up to 100 lower-case letters, digits and _")
    return name


def _git_branch() -> str:
    """The current git branch in the letters that Metaflow allows; SettingsError where there is none."""
    command = ["git", "-C", str(ROOT), "symbolic-ref", "--short", "HEAD"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    name = re.sub(r"[^a-z0-9_]+", "_", done.stdout.strip().lower())[:100]
    if not name:
        raise SettingsError("there is no git branch to name the deployment after; give --branch NAME or --production")
    return name


def _refused(problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"refused: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
