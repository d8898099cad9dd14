"""A deployment compiled once for all tests here, through Metaflow, with its code package on a real S3 server."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lib.argo.preflight import Machine
from lib.deploy import compiled, deployments, packaged_bytes
from lib.importjobs.job import ImportJob
from lib.settings import ROOT, Settings, parse, settings_of
from tests import services
from tests.conftest import S3Server
from tests.deploy import walk
from tests.deploy.cluster import Imports, Outcome, local_outcome
from tests.deploy.faults import DatabaseProxy, s3_proxy
from tests.flow.running import SAMPLE, run

BUCKET = "deployments"
IMAGE = f"registry.example.com/shelfsort@sha256:{'5e1f' * 16}"


@dataclass(frozen=True)
class Deployment:
    """A template as it would be deployed, and all that it was made from."""

    template: dict[str, Any]
    package: bytes  # the code package, a gzipped tar
    config: Path
    settings: Settings
    machine: Machine

    def containers(self) -> dict[str, dict[str, Any]]:
        """The container of each template that has one."""
        parts = self.template["spec"]["templates"]
        return {part["name"]: part["container"] for part in parts if part.get("container")}


@dataclass(frozen=True)
class Deployer:
    """A machine that can deploy; its environment is put on where it is used, for other tests are local."""

    environment: dict[str, str]
    machine: Machine

    def put_on(self, patch: pytest.MonkeyPatch) -> None:
        """Make this process's environment the deployer's."""
        for name in [name for name in os.environ if name.startswith(("METAFLOW_", "AWS_"))]:
            patch.delenv(name)
        for name, value in self.environment.items():
            patch.setenv(name, value)


@contextmanager
def answering(status: int = 200, *, path: str = "/ping") -> Iterator[str]:
    """The address of a server that answers a path, as a rule the ping of Metaflow's metadata service, and no other."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path.partition("?")[0] == path else 404)
            self.send_header("Content-Length", "2")
            self.send_header("METADATA_SERVICE_VERSION", "2.4.13")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture(scope="session")
def _deployer(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployer]:
    """A machine that can deploy to a bucket of its own."""
    s3.client().create_bucket(Bucket=BUCKET)
    in_pods = "http://metaflow.example.com:8080"
    datastore = f"s3://{BUCKET}/metaflow"
    environment = {
        **s3.environment,
        "USERNAME": "test",
        "METAFLOW_HOME": str(tmp_path_factory.mktemp("deployer")),
        "METAFLOW_DATASTORE_SYSROOT_S3": datastore,
        "METAFLOW_S3_ENDPOINT_URL": s3.endpoint,
        "METAFLOW_DEFAULT_METADATA": "service",
        "METAFLOW_SERVICE_INTERNAL_URL": in_pods,
    }
    with answering() as service:
        environment["METAFLOW_SERVICE_URL"] = service
        machine = Machine(datastore, s3.endpoint, "service", service, environment, service_in_pods=in_pods)
        yield Deployer(environment, machine)


@pytest.fixture
def deployer(_deployer: Deployer, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that can deploy: this one, for the length of the test."""
    _deployer.put_on(monkeypatch)
    return _deployer.machine


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """config/production.toml with an image that is no example and a bucket that exists."""
    text = (ROOT / "config" / "production.toml").read_text("utf-8")
    text = text.replace(f"registry.example.com/shelfsort@sha256:{'0' * 64}", IMAGE)
    path = tmp_path_factory.mktemp("config") / "production.toml"
    path.write_text(text.replace("s3://example-shelfsort/", f"s3://{BUCKET}/"), "utf-8")
    return path


@pytest.fixture(scope="session")
def deployment(_deployer: Deployer, config: Path) -> Deployment:
    """The production deployment of config/production.toml."""
    settings = settings_of(parse(config.read_text("utf-8")))
    with pytest.MonkeyPatch.context() as patch:
        _deployer.put_on(patch)
        template = compiled(config, settings, branch=["--production"])
        package = packaged_bytes(template, _deployer.machine)
    return Deployment(template, package, config, settings, _deployer.machine)


@pytest.fixture(scope="session")
def small_deployment(_deployer: Deployer, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The production deployment for small files."""
    settings = settings_of(parse(config.read_text("utf-8")))
    _, small = deployments(config, settings, ["--production"], folder=tmp_path_factory.mktemp("small"))
    with pytest.MonkeyPatch.context() as patch:
        _deployer.put_on(patch)
        template = compiled(small.config, small.settings, branch=small.branch)
        package = packaged_bytes(template, _deployer.machine)
    return Deployment(template, package, small.config, small.settings, _deployer.machine)


# A deployment to be walked: each try costs seconds here, so there are few.
WALKED = f"""
[deployment]
image = "{IMAGE}"
output = "s3://{BUCKET}/results"
database_secret = "shelfsort-database"
secrets = ["shelfsort-metaflow"]
parallel_batches = 3
[deployment.each_step]
retries = 1
[deployment.steps]
join = {{ retries = 0 }}
load_catalog = {{ retries = 2 }}
"""


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings of the deployments to be walked."""
    path = tmp_path_factory.mktemp("walked") / "walked.toml"
    path.write_text(WALKED, "utf-8")
    return path


@pytest.fixture(scope="session")
def imports(
    _deployer: Deployer, _postgres: str, s3: S3Server, walked: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Imports]:
    """A deployment whose imports are walked; skips where this machine gives pods no file system of their own."""
    import psycopg
    from sqlalchemy import make_url

    if reason := walk.why_not(tmp_path_factory.mktemp("view")):
        pytest.skip(reason)
    url = make_url(_postgres)
    place = str(url.query["host"])
    with psycopg.connect(host=place, user=url.username, dbname=url.database, autocommit=True) as server:
        server.execute("create database walked")
    settings = settings_of(parse(WALKED))
    database = DatabaseProxy(f"{place}/.s.PGSQL.5432")
    with pytest.MonkeyPatch.context() as patch:
        _deployer.put_on(patch)
        template = compiled(walked, settings, branch=["--branch", "walked"])
    with s3_proxy(s3.endpoint) as proxy:
        cluster = walk.Cluster(
            folder=tmp_path_factory.mktemp("pods"),
            secrets={
                "shelfsort-database": {
                    "SHELFSORT_DATABASE_URL": f"postgresql+psycopg://{url.username}@127.0.0.1:{database.port}/walked"
                },
                "shelfsort-metaflow": {
                    "METAFLOW_SERVICE_HEADERS": "{}",
                    "AWS_ACCESS_KEY_ID": services.ACCESS_KEY,
                    "AWS_SECRET_ACCESS_KEY": services.SECRET_KEY,
                    "AWS_DEFAULT_REGION": "us-east-1",
                },
            },
            # There is no metadata service; each pod keeps its metadata to itself, and the steps do not read it.
            replaced={"--metadata=service": "--metadata=local", s3.endpoint: proxy.endpoint},
        )
        straight = url.set(database="walked").render_as_string(hide_password=False)
        yield Imports(template, cluster, f"s3://{BUCKET}/results", straight, s3.environment, proxy, database)
    database.close()


@pytest.fixture(scope="session")
def small_imports(
    imports: Imports, _deployer: Deployer, walked: Path, tmp_path_factory: pytest.TempPathFactory
) -> Imports:
    """The same, of the deployment for small files."""
    settings = settings_of(parse(WALKED))
    _, small = deployments(walked, settings, ["--branch", "walked"], folder=tmp_path_factory.mktemp("small"))
    with pytest.MonkeyPatch.context() as patch:
        _deployer.put_on(patch)
        return replace(imports, template=compiled(small.config, small.settings, branch=small.branch))


THREE = "[batches]\ncount = 3\n"


@pytest.fixture(scope="session")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What a local run of the sample in three batches leaves behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USERNAME", "test")
        patch.delenv("SHELFSORT_DATABASE_URL", raising=False)
        return local_outcome(run(tmp_path_factory.mktemp("home"), SAMPLE, config=THREE).folder)


@pytest.fixture(scope="session")
def undisturbed(imports: Imports) -> tuple[ImportJob, walk.Workflow]:
    """A job of the sample and its workflow, walked once for all tests."""
    with imports.reached():
        job = imports.submit(SAMPLE, config=THREE)
        workflow = imports.walk(job)
        assert workflow.status == "Succeeded", workflow.log()
        return imports.job(job.id), workflow
