"""Each broken deployment is refused with one line that says what to do."""

import copy
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lib.argo import preflight
from lib.argo.preflight import Machine, before_compiling, in_template
from lib.deploy import packaged
from lib.settings import Settings, parse, settings_of
from tests.deploy.conftest import BUCKET, IMAGE, Deployment

GOOD = f"""
database_url = ""
[deployment]
image = "{IMAGE}"
output = "s3://{BUCKET}/results"
database_secret = "shelfsort-database"
"""


def settings(more: str = "", *, instead_of: str = "") -> Settings:
    """Settings that can be deployed, with a line put in the place of another."""
    return settings_of(parse(GOOD.replace(instead_of, more) if instead_of else GOOD + more))


def problems(given: Settings, machine: Machine) -> list[str]:
    return before_compiling(given, machine, allow_uncommitted=True)


def test_a_good_deployment_has_no_problem(deployer: Machine) -> None:
    assert problems(settings(), deployer) == []


SETTINGS_CASES = [
    ("no image", f'image = "{IMAGE}"', 'image = ""', "deployment.image is empty; build the Dockerfile"),
    ("a tag", IMAGE, "registry.example.com/shelfsort:1.2", "can change its content; write REGISTRY/NAME@sha256:DIGEST"),
    ("latest", IMAGE, "shelfsort", "can change its content; write REGISTRY/NAME@sha256:DIGEST"),
    ("the example's image", "5e1f" * 16, "0" * 64, "is only an example; name your own"),
    (
        "a local output",
        f"s3://{BUCKET}/results",
        "results",
        "deployment.output is 'results'; pods can only reach s3://",
    ),
    (
        "no such bucket",
        f"s3://{BUCKET}/results",
        "s3://no-such-bucket/x",
        "S3 answered NoSuchBucket; create the bucket",
    ),
    ("no database", "shelfsort-database", "", "name it in deployment.database_secret"),
    ("SQLite", 'database_url = ""', 'database_url = "sqlite:////data/catalog.db"', "is a SQLite file"),
    (
        "localhost",
        'database_url = ""',
        'database_url = "postgresql://me@localhost/x"',
        "'localhost', which pods cannot",
    ),
    (
        "a socket",
        'database_url = ""',
        'database_url = "postgresql://me@/x?host=/run/pg"',
        "'/run/pg', which pods cannot",
    ),
    ("no URL", 'database_url = ""', 'database_url = "our database"', "database_url is no URL; write postgresql"),
    (
        "MySQL",
        'database_url = ""',
        'database_url = "mysql://me@db/x"',
        "is 'mysql'; use PostgreSQL: postgresql+psycopg",
    ),
    ("no bucket", f"s3://{BUCKET}/results", "s3://", "'' is no bucket's name; write s3://BUCKET/PREFIX"),
    ("a bad bucket", f"s3://{BUCKET}/results", "s3://Bad!/x", "'Bad!' is no bucket's name; write s3://BUCKET/PREFIX"),
    ("a password", 'database_url = ""', 'database_url = "postgresql://me:pw@db/x"', "keep it in a Kubernetes secret"),
    ("a model of this machine", 'database_url = ""', 'model = "/home/me/model"', "publish the model to s3:// or below"),
    ("a model that is not there", 'database_url = ""', 'model = "lib/models/none"', "does not travel with the code"),
    ("a model on http", 'database_url = ""', 'model = "https://h/model"', "pods cannot read it; publish"),
    ("an empty model on S3", 'database_url = ""', f'model = "s3://{BUCKET}/none"', "there is no model; publish one"),
]


@pytest.mark.parametrize(
    ("old", "new", "said"), [case[1:] for case in SETTINGS_CASES], ids=[c[0] for c in SETTINGS_CASES]
)
def test_settings_that_pods_cannot_live_with_are_refused(deployer: Machine, old: str, new: str, said: str) -> None:
    (problem,) = problems(settings(new, instead_of=old), deployer)
    assert said in problem
    assert "\n" not in problem


def test_a_secret_among_the_pods_variables_is_refused_without_being_shown(deployer: Machine) -> None:
    (problem,) = problems(settings('environment = { API_TOKEN = "abc123" }\n'), deployer)
    assert "API_TOKEN" in problem
    assert "abc123" not in problem


MACHINE_CASES = [
    ("no datastore", {"datastore": ""}, "METAFLOW_DATASTORE_SYSROOT_S3 is ''; pods can only reach s3://"),
    ("a local datastore", {"datastore": "/data"}, "METAFLOW_DATASTORE_SYSROOT_S3 is '/data'"),
    ("local metadata", {"metadata": "local"}, "set METAFLOW_DEFAULT_METADATA=service and METAFLOW_SERVICE_URL"),
    ("no metadata service", {"service": ""}, "its address is not set; set METAFLOW_DEFAULT_METADATA=service and"),
    ("a service that is no address", {"service": "metaflow:8080"}, "metaflow:8080: is no address; write http://HOST"),
    ("nobody at the service", {"service": "http://127.0.0.1:9"}, "cannot be reached ("),
    ("a service of this machine", {"service_in_pods": "http://localhost:8080"}, "set METAFLOW_SERVICE_INTERNAL_URL to"),
]


@pytest.mark.parametrize(("change", "said"), [case[1:] for case in MACHINE_CASES], ids=[c[0] for c in MACHINE_CASES])
def test_a_machine_that_is_set_up_for_local_runs_is_refused(deployer: Machine, change: Any, said: str) -> None:
    (problem,) = problems(settings(), replace(deployer, **change))
    assert said in problem


def test_what_is_not_committed_is_refused_unless_allowed(deployer: Machine, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    machine = replace(deployer, root=tmp_path)
    given = settings(f'model = "s3://{BUCKET}/metaflow"', instead_of='database_url = ""')
    deployer_has_content(deployer)
    assert any("is no git checkout" in problem for problem in before_compiling(given, machine))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("a = 1\n")
    git("init")
    git("add", "lib")
    git("commit", "-m", "first")
    assert before_compiling(given, machine) == []
    (tmp_path / "notes.txt").write_text("does not travel")
    assert before_compiling(given, machine) == []
    (tmp_path / "lib" / "a.py").write_text("a = 2\n")
    (tmp_path / "lib" / "b.py").write_text("")
    (problem,) = before_compiling(given, machine)
    assert problem.startswith("lib/a.py and 1 more: not committed; commit")
    assert before_compiling(given, machine, allow_uncommitted=True) == []


def deployer_has_content(deployer: Machine) -> None:
    import boto3

    boto3.Session().client("s3").put_object(Bucket=BUCKET, Key="metaflow/model", Body=b"")


def test_a_missing_kubernetes_package_is_refused(deployer: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None if name == "kubernetes" else name)
    (problem,) = problems(settings(), deployer)
    assert problem == "the Python package kubernetes is missing; pip install -r requirements-deploy.txt"


def _variable(template: Any, name: str, value: str) -> None:
    for part in template["spec"]["templates"]:
        if part.get("container"):
            part["container"]["env"].append({"name": name, "value": value})
            return


TEMPLATE_CASES: list[tuple[str, Callable[[Any], Any], str]] = [
    (
        "the metadata service's key",
        lambda t: _variable(t, "METAFLOW_SERVICE_HEADERS", '{"x-api-key": "abc"}'),
        "set METAFLOW_ARGO_WORKFLOWS_ENV_VARS_TO_SKIP=METAFLOW_SERVICE_HEADERS",
    ),
    (
        "a webhook",
        lambda t: t["spec"]["hooks"].update(x={"url": "https://hooks.slack.com/services/T/B/x"}),
        "keep it in a Kubernetes secret",
    ),
    (
        "a token in the git remote",
        lambda t: _variable(t, "METAFLOW_VERSION", json.dumps({"repo_url": "https://t0ken@github.com/a/b"})),
        "take the token out of the git remote's URL",
    ),
    ("a long name", lambda t: t["metadata"].update(name="n" * 46), "has 46 characters and Argo takes 45"),
    (
        "local metadata",
        lambda t: t["spec"]["templates"][2]["container"]["command"].append("--metadata=local"),
        "set METAFLOW_DEFAULT_METADATA=service",
    ),
    (
        "another image",
        lambda t: t["spec"]["templates"][2]["container"].update(image="python:3.11"),
        "is not the one in deployment.image",
    ),
]


@pytest.mark.parametrize(("spoil", "said"), [case[1:] for case in TEMPLATE_CASES], ids=[c[0] for c in TEMPLATE_CASES])
def test_a_template_that_leaks_or_cannot_run_is_refused(deployment: Deployment, spoil: Any, said: str) -> None:
    template = _without_remote(deployment.template)
    names = packaged(deployment.package)
    assert in_template(template, names, deployment.settings, deployment.machine) == []
    spoil(template)
    (problem,) = in_template(template, names, deployment.settings, deployment.machine)
    assert said in problem
    assert "abc" not in problem
    assert "t0ken" not in problem


def _without_remote(template: Any) -> Any:
    """A copy whose code's origin is not told: wherever these tests run, that may have a token."""
    template = copy.deepcopy(template)
    for part in template["spec"]["templates"]:
        if part.get("container"):
            env = part["container"]["env"]
            part["container"]["env"] = [entry for entry in env if entry["name"] != "METAFLOW_VERSION"]
    return template


def test_a_model_whose_files_stay_behind_is_refused(deployment: Deployment) -> None:
    names = [name for name in packaged(deployment.package) if not name.endswith(".npz")]
    found = in_template(_without_remote(deployment.template), names, deployment.settings, deployment.machine)
    assert [problem for problem in found if "does not travel with the code; publish" in problem] == found != []
