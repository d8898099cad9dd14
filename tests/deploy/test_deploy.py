"""The command `python -m lib.deploy`: what it prints, and that it deploys nothing that it has refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib import deploy
from lib.argo.preflight import Machine
from lib.settings import ROOT
from tests.deploy.test_preflight import GOOD


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
    printed = capsys.readouterr()
    (note,) = printed.err.splitlines()
    assert note.startswith(f"note: the pods are told to find S3 at {deployer.endpoint}, which for a pod is itself")
    assert printed.out.splitlines() == [
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
    assert deploy.main(["--config", str(path), "--production", "--allow-uncommitted", "--check"]) == 1
    _, line = capsys.readouterr().err.splitlines()
    assert "deployment.steps.joins: the flow has no such step" in line


def test_a_python_without_the_requirements_is_told_so(tmp_path: Path) -> None:
    line = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(ROOT)!r}); import lib.deploy"]
    done = subprocess.run(line, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    (told,) = done.stderr.splitlines()
    assert told.startswith("refused: the Python package ")
    assert told.endswith(" is missing; pip install -r requirements-deploy.txt")
