"""A deployment compiled once for all tests here, through Metaflow, with its code package on a real S3 server."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lib.deploy import compiled, packaged_bytes
from lib.preflight import Machine
from lib.settings import ROOT, Settings, parse, settings_of
from tests.conftest import S3Server

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


def deployer_environment(s3: S3Server) -> dict[str, str]:
    """What a deployer's machine is set to, and nothing of this one's Metaflow."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("METAFLOW_", "AWS_"))}
    return {
        **own,
        **s3.environment,
        "USERNAME": "test",
        "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{BUCKET}/metaflow",
        "METAFLOW_S3_ENDPOINT_URL": s3.endpoint,
        "METAFLOW_DEFAULT_METADATA": "service",
        "METAFLOW_SERVICE_URL": "http://metaflow.example.com:8080",
    }


@pytest.fixture(scope="session")
def deployer(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine that can deploy, for the length of the session."""
    import boto3

    home = tmp_path_factory.mktemp("deployer")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("METAFLOW_", "AWS_"))]:
            patch.delenv(name)
        for name, value in deployer_environment(s3).items():
            patch.setenv(name, value)
        patch.setenv("METAFLOW_HOME", str(home))
        boto3.Session().client("s3").create_bucket(Bucket=BUCKET)
        yield Machine(
            datastore=f"s3://{BUCKET}/metaflow",
            endpoint=s3.endpoint,
            metadata="service",
            service="http://metaflow.example.com:8080",
            environment=dict(os.environ),
        )


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """config/production.toml with an image that is no example and a bucket that exists."""
    text = (ROOT / "config" / "production.toml").read_text("utf-8")
    text = text.replace(f"registry.example.com/shelfsort@sha256:{'0' * 64}", IMAGE)
    path = tmp_path_factory.mktemp("config") / "production.toml"
    path.write_text(text.replace("s3://example-shelfsort/", f"s3://{BUCKET}/"), "utf-8")
    return path


@pytest.fixture(scope="session")
def deployment(deployer: Machine, config: Path) -> Deployment:
    """The production deployment of config/production.toml."""
    settings = settings_of(parse(config.read_text("utf-8")))
    template = compiled(config, settings, branch=["--production"])
    return Deployment(template, packaged_bytes(template, deployer), config, settings, deployer)
