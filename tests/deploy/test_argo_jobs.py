"""A job's whole life on the walked deployment, typed by a user: submit, cancel, retry, review, and the next file.

Each command is a process of its own and reaches Argo as it does in earnest, through Metaflow's API; only Kubernetes'
API is a stand-in (argo_api.py).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa
import yaml

from lib import database
from lib.settings import ROOT
from tests.deploy.argo_api import ArgoApi, argo_api
from tests.deploy.cluster import Imports
from tests.flow.running import SAMPLE

WAIT_SECONDS = 300
# Of the sample file, for the changed one.
GONE, RENAMED, NEW = "010020", ("Bananas Cavendish Class I, loose", "Quince jelly"), "999999;;Oat drink 1 l"


@dataclass(frozen=True)
class User:
    """Somebody at a shell of a machine that may trigger the deployment."""

    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command as it ends."""
        line = [sys.executable, "-m", "lib.jobs", *arguments]
        return subprocess.run(
            line, check=False, capture_output=True, text=True, cwd=self.folder, env=self.environment, timeout=600
        )

    def says(self, *arguments: str) -> str:
        """What a command prints, which must succeed and complain of nothing."""
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """What a command says to programs: JSON and nothing else."""
        return json.loads(self.says(*arguments, "--json"))


@dataclass
class Life:
    """What the commands said, by name, and what was there when they had."""

    said: dict[str, Any] = field(default_factory=dict)
    catalogs: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def _api(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgoApi]:
    with argo_api(imports.template, imports.cluster, tmp_path_factory.mktemp("kubernetes")) as api:
        yield api


@pytest.fixture(scope="module")
def life(imports: Imports, _api: ArgoApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("user")
    user, told = _user(folder, imports, _api), Life()
    said = told.said
    with _batches_held(imports):
        job = said["submit"] = user.json("submit", str(SAMPLE), "--customer", "argo-life")
        said["again"] = user.run("submit", str(SAMPLE), "--customer", "argo-life").stderr
        said["running"] = _until(user, job["id"], lambda now: now["progress"]["running"] == 1)
        said["cancel"] = user.says("cancel", job["id"])
    _api.wait()
    said["cancelled"] = user.json("status", job["id"])
    # Argo keeps a workflow that has ended only for so long.
    _api.forget(next(iter(_api.workflows)))
    said["retry"] = user.says("retry", job["id"])
    said["watched"] = [json.loads(line) for line in user.says("status", job["id"], "--watch", "--json").splitlines()]
    said["report"] = user.json("report", job["id"])
    told.catalogs["first"] = _catalog(imports)
    said["export"] = user.json("review", job["id"], "--export", "review.xlsx")
    book = folder / "review.xlsx"
    _fill(book, first="Oat drnk")
    said["refused"] = user.run("review", job["id"], "--import", "review.xlsx").stderr
    told.catalogs["refused"] = _catalog(imports)
    _fill(book, first="Oat drink")
    said["import"] = user.json("review", job["id"], "--import", "review.xlsx", "--who", "ada")
    said["import again"] = user.json("review", job["id"], "--import", "review.xlsx", "--who", "ada")
    lines = SAMPLE.read_text("utf-8-sig").replace(*RENAMED).splitlines()
    kept = [line for line in lines if not line.startswith(GONE)]
    (folder / "next.csv").write_text("\n".join([*kept, f"{NEW}{';' * (lines[0].count(';') - 2)}"]) + "\n", "utf-8")
    later = user.json("submit", "next.csv", "--customer", "argo-life")
    user.says("status", later["id"], "--watch")
    said["later"] = user.json("report", later["id"])
    said["events"] = user.json("status", job["id"])["events"]
    said["list"] = user.says("list", "--customer", "argo-life")
    said["left"] = [path.name for path in folder.glob("tmp*.py")]
    told.catalogs["later"] = _catalog(imports)
    yield told
    # What a person decided holds for all customers, and so for the imports of other tests on this database.
    with sa.create_engine(database.checked(imports.database_url), poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text("DELETE FROM corrections"))


def _user(folder: Path, imports: Imports, api: ArgoApi) -> User:
    template = imports.template["metadata"]["name"]
    (folder / "mine.toml").write_text(f'[jobs]\nrunner = "argo"\ntemplate = "{template}"\n', "utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("METAFLOW_", "AWS_"))}
    return User(
        folder,
        own
        | imports.environment
        | api.environment
        | {
            "PYTHONPATH": str(ROOT),
            "USERNAME": "ada",
            "TMPDIR": str(folder),
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder / "metaflow"),
            "METAFLOW_DEFAULT_METADATA": "local",
            "SHELFSORT_DATABASE_URL": imports.database_url,
            "SHELFSORT_OUTPUT": imports.output,
            "SHELFSORT_CONFIG": str(folder / "mine.toml"),
        },
    )


@contextmanager
def _batches_held(imports: Imports) -> Iterator[None]:
    """No batch's results get to S3 within the block."""
    with imports.s3.failing(lambda method, path: 600.0 if method == "PUT" and "-results.parquet" in path else None):
        yield


def _until(user: User, job_id: str, happens: Any) -> Any:
    end = time.monotonic() + WAIT_SECONDS
    while not happens(now := user.json("status", job_id)):
        assert time.monotonic() < end, now
        time.sleep(0.5)
    return now


def _fill(path: Path, *, first: str) -> None:
    book = openpyxl.load_workbook(path)
    book["Review"]["G2"], book["Review"]["G3"] = first, "confirm"
    book.save(path)
    book.close()


def _catalog(imports: Imports) -> list[tuple[Any, ...]]:
    """The customer's products: key, change, category, who said so, and whether it is gone."""
    query = sa.text(
        "SELECT product_key, change, category, corrected_by, gone_job_id IS NOT NULL FROM products"
        " WHERE customer = 'argo-life' ORDER BY product_key, occurrence"
    )
    with sa.create_engine(database.checked(imports.database_url), poolclass=sa.NullPool).connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_what_a_user_does_next_is_said_at_each_step(life: Life) -> None:
    job = life.said["submit"]
    assert f"the same content is job {job['id']}" in life.said["again"]
    assert life.said["running"]["phase"] == "categorizing"
    assert life.said["cancel"] == f"{job['id']} is cancelled; `retry` goes on with what is missing.\n"
    assert f"{job['id']} runs again; " in life.said["retry"]
    assert life.said["watched"][-1]["phase"] == "succeeded"
    assert life.said["list"].count("succeeded") == 2
    assert life.said["left"] == []


def test_a_cancelled_workflow_is_terminated_and_its_job_goes_on_even_when_argo_has_forgotten_it(life: Life) -> None:
    cancelled = life.said["cancelled"]["job"]
    assert (cancelled["status"], cancelled["attempts"], cancelled["rows"]) == ("cancelled", 1, None)
    changes = [(event["after"], event["attempt"]) for event in life.said["events"]]
    assert changes == [
        ("submitted", 0), ("running", 1), ("cancelled", 1), ("submitted", 1), ("running", 2), ("succeeded", 2)
    ]  # fmt: skip
    assert life.said["report"]["rows"] == 502


def test_what_users_do_takes_no_more_rights_than_their_role_has(life: Life, _api: ArgoApi) -> None:
    assert life.said["list"]
    roles = yaml.safe_load_all((ROOT / "config" / "kubernetes" / "access.yaml").read_text("utf-8"))
    (role,) = (one for one in roles if (one["kind"], one["metadata"]["name"]) == ("Role", "shelfsort-trigger"))
    granted = {(verb, kind) for rule in role["rules"] for kind in rule["resources"] for verb in rule["verbs"]}
    assert {("create", "workflows"), ("patch", "workflows")} <= _api.asked <= granted


def test_a_review_with_a_bad_cell_changes_nothing_and_a_good_one_counts_once(life: Life) -> None:
    assert "Review!G2: 'Oat drnk' is no category" in life.said["refused"]
    assert life.catalogs["refused"] == life.catalogs["first"]
    assert (life.said["import"]["decided"], life.said["import"]["added"]) == (2, 2)
    assert (life.said["import again"]["added"], life.said["import again"]["products"]) == (0, 0)


def test_the_customers_next_file_says_what_changed_and_keeps_what_a_person_decided(life: Life) -> None:
    catalog = life.said["later"]["catalog"]
    told = tuple(catalog[name] for name in ("new", "changed", "gone", "corrected"))
    assert told == (1, 1, 1, life.said["import"]["products"])
    assert [row[0] for row in life.catalogs["later"] if row[4]] == [f"sku:{GONE}"]
    by_people = [row for row in life.catalogs["later"] if row[3] == "ada"]
    assert len(by_people) == life.said["import"]["products"]
    assert "oat-drink" in {row[2] for row in by_people}
