"""What travels to the pods: enough to run anywhere, and nothing else."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from lib.settings import ROOT
from tests.deploy.conftest import Deployment

TRAVELS = {".py", ".toml", ".csv", ".json", ".npz", ".txt"}


@pytest.fixture
def unpacked(deployment: Deployment, tmp_path: Path) -> Path:
    """The code package in an empty folder far from the repository."""
    with tarfile.open(fileobj=io.BytesIO(deployment.package)) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def in_folder(folder: Path, *line: str) -> subprocess.CompletedProcess[str]:
    """Run Python there with the package's own path, as a pod does, and nothing of this process's."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "USERNAME": "pod",
        "PYTHONPATH": str(folder / ".mf_code"),
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder),
    }
    command = [sys.executable, *line]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=environment)


def test_the_package_holds_code_and_tables_and_nothing_of_the_developers(deployment: Deployment) -> None:
    with tarfile.open(fileobj=io.BytesIO(deployment.package)) as archive:
        names = [PurePosixPath(name) for name in archive.getnames()]
    ours = [name for name in names if name.parts[0] not in (".mf_code", ".mf_meta", ".mf_install")]
    assert {name.parts[0] for name in ours} == {"categorize.py", "train.py", "lib", "config"}
    assert {name.suffix for name in ours} <= TRAVELS
    assert not {"tests", ".git", ".venv", ".metaflow", "results", "__pycache__", "kubernetes"} & {
        part for name in ours for part in name.parts
    }


def _modules(place: Path) -> set[str]:
    """All of lib, as one imports it; env.py is Alembic's to run."""
    files = (path.relative_to(place).with_suffix("") for path in (place / "lib").rglob("*.py"))
    return {".".join(file.parts) for file in files if file.name not in ("__init__", "env")}


def test_every_module_imports_from_the_package_alone(unpacked: Path) -> None:
    modules = _modules(unpacked)
    assert modules <= _modules(ROOT)
    assert modules > {"lib.planning", "lib.words.model"}
    code = "import importlib, sys\nfor name in sys.argv[1:]: print(importlib.import_module(name).__file__)"
    done = in_folder(unpacked, "-c", code, *sorted(modules))
    assert done.returncode == 0, done.stderr
    places = [Path(line) for line in done.stdout.splitlines()]
    assert len(places) == len(modules)
    assert all(place.is_relative_to(unpacked) for place in places)


def test_the_flow_runs_from_the_package_alone(unpacked: Path) -> None:
    (unpacked / "products.csv").write_text("name,sku\nOat drink 1 l,1\nTotal,\n")
    done = in_folder(unpacked, "categorize.py", "run", "--source", "products.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rows = " in done.stdout
