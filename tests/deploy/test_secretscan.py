"""What is taken for a secret, and what is not."""

import json
from typing import Any

import pytest

from lib.argo.secretscan import secrets_in

CASES = [
    ("a header with a key", {"name": "METAFLOW_SERVICE_HEADERS", "value": '{"x-api-key": "abc"}'}, "a secret's name"),
    ("a password variable", {"name": "DB_PASSWORD", "value": "hunter2"}, "a secret's name"),
    ("a key inside JSON inside a value", {"name": "EXTRA", "value": '{"api_key": "abc"}'}, "a secret's name"),
    ("a Slack webhook", {"url": "https://hooks.slack.com/services/T0/B0/x"}, "the form of a token"),
    ("a GitHub token", {"args": ["--x", "ghp_" + "a1B2" * 9]}, "the form of a token"),
    ("an AWS key's id", {"name": "ID", "value": "AKIA" + "ABCD1234EFGH5678"}, "the form of a token"),
    ("a private key", {"pem": "-----BEGIN RSA PRIVATE KEY-----"}, "the form of a token"),
    ("a token in a git remote", {"name": "V", "value": '{"repo_url": "https://x:abc@github.com/a/b"}'}, "in a URL"),
    ("a token as the user of a git remote", {"repo_url": "https://abc@github.com/a/b"}, "in a URL"),
    ("a database's password", {"database_url": "postgresql+psycopg://me:pw@db/x"}, "in a URL"),
    ("a random key under a plain name", {"name": "COLOUR", "value": "q7Rk2LmZ0xVb9TnW4cYd8"}, "as random as a key's"),
    ("the value of a secret variable", {"command": "run --with s3cretvalue"}, "the value of SOME_TOKEN"),
    ("the password of a URL in a variable", {"command": "run pass-of-url"}, "the value of SHELFSORT_DATABASE_URL"),
]
ENVIRONMENT = {"SOME_TOKEN": "s3cretvalue", "SHELFSORT_DATABASE_URL": "postgresql://me:pass-of-url@db/x"}
HARMLESS = [
    {"name": "METAFLOW_SERVICE_HEADERS", "value": "{}"},
    {"name": "METAFLOW_CODE_SHA", "value": "bf68f870530cd5c2866d27fa5ea09df801994588"},
    {"image": "registry.example.com/shelfsort@sha256:" + "5e1f" * 16},
    {"database_url": "postgresql+psycopg://me@db/x"},
    {"envFrom": [{"secretRef": {"name": "shelfsort-database"}}]},
    {"repo_url": "https://github.com/a/b"},
    {"metaflow/production_token": "production-token-0-abcd"},
    {"command": "python categorize.py --datastore-root=s3://bucket/Metaflow_2_19_39 step start"},
]


@pytest.mark.parametrize(("document", "sign"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_secret_is_found_wherever_it_stands_and_never_shown(document: dict[str, Any], sign: str) -> None:
    (found,) = secrets_in({"spec": {"templates": [document]}}, environment=ENVIRONMENT)
    assert sign in found
    assert not any(
        value in found for value in ("abc", "hunter2", "s3cretvalue", "pass-of-url", "q7Rk2LmZ0xVb9TnW4cYd8")
    )


@pytest.mark.parametrize("document", HARMLESS, ids=json.dumps)
def test_names_digests_and_addresses_are_no_secrets(document: dict[str, Any]) -> None:
    assert secrets_in({"spec": [document]}, environment=ENVIRONMENT) == []
