"""What the deploying machine cannot reach is told within seconds, with what to do."""

import socket
from dataclasses import replace

import pytest

from lib.argo import reachable
from lib.argo.preflight import Machine
from tests.deploy.conftest import answering
from tests.deploy.test_preflight import problems, settings


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
    with answering(404) as other:
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
    with answering(status) as service:
        (problem,) = problems(settings(), replace(deployer, service=service))
    assert said in problem


def test_wrong_credentials_for_s3_are_refused(deployer: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    found = problems(settings(), deployer)
    assert len(found) == 2
    assert all("check the credentials" in problem for problem in found)
