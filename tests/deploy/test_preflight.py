"""Each broken deployment is refused with one line that says what to do."""

import copy
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lib import deploy
from lib.argo import preflight, reachable
from lib.argo.preflight import Machine, before_compiling, in_template
from lib.deploy import packaged
from lib.settings import ROOT, Settings, parse, settings_of
from tests.deploy.conftest import BUCKET, IMAGE, Deployment, metadata_service

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


def test_s3_that_nobody_serves_is_refused(deployer: Machine) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = problems(settings(), replace(deployer, endpoint=f"http://127.0.0.1:{port}"))
    assert len(found) == 2  # the datastore and the output
    assert all("(METAFLOW_S3_ENDPOINT_URL) cannot be reached; check the address" in problem for problem in found)


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("minio:9000", "minio:9000 (METAFLOW_S3_ENDPOINT_URL) cannot be reached; check the address"),
        ("http://no-such-host.invalid:9000", "(METAFLOW_S3_ENDPOINT_URL) cannot be reached; check the address"),
    ],
)
def test_an_address_that_is_none_is_named_with_its_variable(deployer: Machine, endpoint: str, said: str) -> None:
    # Where there is a proxy for the internet, that is what answers instead.
    found = problems(settings(), replace(deployer, endpoint=endpoint))
    assert len(found) == 2
    assert all(said in problem or "what answers there is no S3" in problem for problem in found)


def test_what_answers_but_is_no_s3_is_refused(deployer: Machine) -> None:
    with metadata_service() as other:
        found = problems(settings(), replace(deployer, endpoint=other))
    assert len(found) == 2
    assert all("what answers there is no S3 (404); check METAFLOW_S3_ENDPOINT_URL" in problem for problem in found)


def test_s3_that_never_answers_is_given_up_on(deployer: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "SECONDS", 3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = problems(settings(), replace(deployer, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert len(found) == 2
    assert all("check the" in problem for problem in found)


def test_no_credentials_for_s3_are_refused(deployer: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    found = problems(settings(), deployer)
    assert len(found) == 2
    assert all("no credentials found; log in, or set AWS_PROFILE" in problem for problem in found)


def test_half_of_the_credentials_or_an_unknown_profile_are_refused(
    deployer: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = problems(settings(), deployer)
    assert len(found) == 2
    assert all("missing: AWS_SECRET_ACCESS_KEY; log in, or set AWS_PROFILE" in problem for problem in found)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    found = problems(settings(), deployer)
    assert all("(nobody) could not be found; log in, or set AWS_PROFILE" in problem for problem in found)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "it answered 403; set METAFLOW_SERVICE_HEADERS with its key"),
        (404, "is no metadata service of Metaflow's"),
    ],
)
def test_a_metadata_service_that_refuses_is_refused(deployer: Machine, status: int, said: str) -> None:
    with metadata_service(status) as service:
        (problem,) = problems(settings(), replace(deployer, service=service))
    assert said in problem


def test_wrong_credentials_for_s3_are_refused(deployer: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    found = problems(settings(), deployer)
    assert len(found) == 2
    assert all("check the credentials" in problem for problem in found)


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


def test_the_command_prints_a_line_for_each_problem_and_deploys_nothing(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("METAFLOW_", "AWS_"))}
    environment |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "HOME": str(tmp_path)}
    environment |= {"AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    line = [sys.executable, "-m", "lib.deploy", "--production", "--allow-uncommitted"]
    done = subprocess.run(line, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("refused: ") for line in lines)


def test_a_branch_that_is_fit_is_said_to_be(
    deployer: Machine, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "machine_from", lambda environment: deployer)
    monkeypatch.setattr(deploy, "in_template", lambda *given: [])  # where these tests run, the remote may have a token
    assert deploy.main(["--config", str(config), "--branch", "try", "--check", "--allow-uncommitted"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "shelfsort.test.try.categorizeflow: fit to be deployed to namespace shelfsort, for all files",
        "shelfsort.test.trysmall.categorizeflow: fit to be deployed to namespace shelfsort, for files up to 10 MB",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[deployment]\nimages = "x"\n', "deployment.images: there is no such key"),
        ("[deployment.steps]\nstart = { cpus = 2 }\n", "steps.start.cpus: there is no such key"),
        ("[deployment.each_step]\nretries = 9\n", "deployment.each_step.retries"),
        (
            '[deployment]\nnamespace = "Shelf_Sort"\n',
            "deployment: namespace must be 1 to 63 lower-case letters, digits",
        ),
        ('[deployment]\nnamespace = ""\n', "deployment: namespace must be 1 to 63 lower-case letters, digits"),
        ('[deployment]\nservice_account = "A B"\n', "deployment: service_account must be a name in Kubernetes"),
        (
            '[deployment.small]\npriority_class = "A B"\n',
            "deployment.small: priority_class must be a name in Kubernetes",
        ),
        ("[deployment.small]\npriorty = 1\n", "deployment.small.priorty: there is no such key"),
        ("[deployment.small.steps]\nstart = { cpus = 2 }\n", "steps.start.cpus: there is no such key"),
        ('[deployment]\nnode_selector = { "a b" = "c" }\n', "deployment: node_selector must have labels of nodes"),
        ('[deployment]\nenvironment = { path = "x" }\n', "deployment: environment must have names of variables"),
        ("[deployment\n", "mine.toml: not valid TOML"),
    ],
)
def test_mistakes_in_the_settings_are_told_before_anything_else(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert deploy.main(["--config", str(path), "--production"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_secret_in_the_place_of_its_name_is_refused_without_being_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[deployment]\nsecrets = ["ghp_abcdefghijklmnopqrstuvwxyz0123"]\n')
    assert deploy.main(["--config", str(path), "--production"]) == 1
    said = capsys.readouterr().err
    assert said.endswith("deployment: secrets must hold the names of Kubernetes secrets, and never what is in them\n")
    assert "ghp_" not in said


def test_a_file_of_settings_that_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "latin.toml").write_bytes(b"\xff\xfe")
    said = {}
    for name in ("none.toml", "", "latin.toml"):
        assert deploy.main(["--config", str(tmp_path / name), "--production"]) == 1
        (said[name],) = capsys.readouterr().err.splitlines()
    assert said["none.toml"].endswith("none.toml: No such file or directory; give --config a TOML file")
    assert said[""].endswith(": Is a directory; give --config a TOML file")
    assert said["latin.toml"].endswith("latin.toml: is not UTF-8; give --config a TOML file")


@pytest.mark.parametrize("branch", ["a/b", "A", "n" * 101])
def test_a_branch_that_metaflow_does_not_take_is_refused_before_anything_else(
    branch: str, capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    assert deploy.main(["--config", str(config), "--branch", branch]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("write up to 100 lower-case letters, digits and _")


def test_a_step_that_the_flow_does_not_have_is_refused(
    deployer: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Metaflow, once imported, does not see another environment.
    monkeypatch.setattr(deploy, "machine_from", lambda environment: deployer)
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + "[deployment.steps]\njoins = { cpu = 2.0 }\n")
    assert deploy.main(["--config", str(path), "--production", "--allow-uncommitted"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "deployment.steps.joins: the flow has no such step" in line
