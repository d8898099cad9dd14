"""The compiled template: what Argo is told, and that Argo would take it."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.argo.exithandler import HANDLER
from lib.argo.preflight import NAME_LENGTH, Machine
from lib.argo.secretscan import secrets_in
from lib.deploy import compiled
from lib.settings import ROOT
from tests.deploy import crd_schema
from tests.deploy.argo_schema import violations, without_nulls
from tests.deploy.conftest import IMAGE, Deployment

GOLDEN = Path(__file__).with_name("template.json")
GOLDEN_SMALL = Path(__file__).with_name("template_small.json")
CRDS = sorted((ROOT.parent / "shared" / "data" / "argo").glob("*.yaml.gz"))


def normalized(template: dict[str, Any]) -> dict[str, Any]:
    """What a reader wants to know of a template, without what changes with each compilation."""
    spec = template["spec"]
    names = {key: template["metadata"][key] for key in ("name", "namespace")}
    whole = {key: value for key, value in spec.items() if key not in ("templates", "podMetadata", "workflowMetadata")}
    parts = [_part(part) for part in spec["templates"]]
    return {**names, **without_nulls(whole), "templates": {part.pop("name"): part for part in parts}}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    part = without_nulls(copy.deepcopy(part))
    container = part.get("container")
    if container:
        container["command"] = _steps_of(container["command"][-1])
        container["env"] = {e["name"]: _stable(e["name"], e.get("value", e.get("valueFrom"))) for e in container["env"]}
    return part


def _steps_of(command: str) -> list[str]:
    """The calls of our flow in a pod's command; all around them is Metaflow's."""
    calls = re.findall(r"python (?:categorize\.py|-m lib\.[\w.]+) [^;&]*?(?=\)(?: 1>>|$)|;| &&|$)", command)
    return [re.sub(r"--datastore-root=\S+|--with=\S+|>/dev/null.*", "", call).strip() for call in calls]


def _stable(name: str, value: Any) -> Any:
    """A variable's value, or a word for one that differs from machine to machine."""
    if name == "METAFLOW_VERSION" or name.startswith("METAFLOW_CODE_") or "ENDPOINT" in name:
        return "..."
    return value


def test_the_production_template_is_the_one_that_was_read_and_approved(
    deployment: Deployment, request: pytest.FixtureRequest
) -> None:
    found = json.dumps(normalized(deployment.template), indent=1, sort_keys=True) + "\n"
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(found, "utf-8")
    assert found == GOLDEN.read_text("utf-8")


def test_the_template_for_small_files_is_the_one_that_was_read_and_approved(
    deployment: Deployment, small_deployment: Deployment, request: pytest.FixtureRequest
) -> None:
    """What it has otherwise than the other, by the path of each value."""
    first, second = (dict(_flat(normalized(one.template))) for one in (deployment, small_deployment))
    changed = {path: [first.get(path), second.get(path)] for path in first | second}
    found = json.dumps({path: pair for path, pair in changed.items() if pair[0] != pair[1]}, indent=1) + "\n"
    if request.config.getoption("--update-golden"):
        GOLDEN_SMALL.write_text(found, "utf-8")
    assert found == GOLDEN_SMALL.read_text("utf-8")


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from _flat(member, f"{path}/{key}")
    if not members:
        yield path, value


def test_small_files_have_a_name_priority_and_pods_of_their_own_and_no_fan_out(
    deployment: Deployment, small_deployment: Deployment
) -> None:
    first, small = deployment.template, small_deployment.template
    assert (first["metadata"]["name"], small["metadata"]["name"]) == (
        "shelfsort.prod.categorizeflow",
        "shelfsort.prod.small.categorizeflow",
    )
    assert small["spec"]["priority"] > first["spec"]["priority"]
    assert (first["spec"]["parallelism"], small["spec"]["parallelism"]) == (20, 1)
    assert "podPriorityClassName" not in first["spec"]
    assert small["spec"]["podPriorityClassName"] == "shelfsort-small"


@pytest.mark.parametrize("which", ["deployment", "small_deployment"])
def test_argo_knows_every_field_of_the_template(which: str, request: pytest.FixtureRequest) -> None:
    assert violations(request.getfixturevalue(which).template) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda spec: spec.update(paralelism=5), "template.spec.paralelism: unknown"),
        (lambda spec: spec.update(priority="high"), "template.spec.priority: 'high' is not int"),
        (lambda spec: spec["templates"][0].pop("name") and spec.update(templates={}), "template.spec.templates: dict"),
    ],
)
def test_what_argo_would_not_take_is_found(deployment: Deployment, spoil: Any, said: str) -> None:
    template = copy.deepcopy(deployment.template)
    spoil(template["spec"])
    assert any(line.startswith(said) for line in violations(template))


@pytest.mark.skipif(not CRDS, reason="the schemas of two Argo versions lie outside this repository")
@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.name)
def test_two_versions_of_argo_would_install_the_templates(
    deployment: Deployment, small_deployment: Deployment, path: Path
) -> None:
    schema = crd_schema.schema_of(path)
    assert list(crd_schema.violations(schema, without_nulls(small_deployment.template))) == []
    assert list(crd_schema.violations(schema, without_nulls(deployment.template))) == []
    spoiled = copy.deepcopy(deployment.template)
    spoiled["spec"]["paralelism"] = 5
    assert "template.spec.paralelism: unknown" in crd_schema.violations(schema, without_nulls(spoiled))


def test_the_jobs_uuid_is_the_only_argument(deployment: Deployment) -> None:
    assert [given["name"] for given in deployment.template["spec"]["arguments"]["parameters"]] == ["job-id"]


def test_every_pod_runs_the_pinned_image_as_an_ordinary_user_within_limits(deployment: Deployment) -> None:
    for name, container in deployment.containers().items():
        assert container["image"] == IMAGE
        assert container["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        if name != HANDLER:  # whose limits are Metaflow's
            assert container["resources"]["limits"] == container["resources"]["requests"]


def test_nothing_in_the_template_looks_like_a_secret(deployment: Deployment) -> None:
    template = json.loads(re.sub(r'\\"repo_url\\": \\"[^"]*\\", ', "", json.dumps(deployment.template)))
    assert secrets_in(template, environment=deployment.machine.environment) == []


def test_a_branch_is_deployed_beside_production_under_a_name_that_argo_takes(
    deployment: Deployment, deployer: Machine
) -> None:
    branch = "a_branch_whose_name_goes_on_for_longer_than_argo_likes"
    template = compiled(deployment.config, deployment.settings, branch=["--branch", branch])
    name = template["metadata"]["name"]
    assert name != deployment.template["metadata"]["name"]
    assert len(name) <= NAME_LENGTH
    assert re.fullmatch(r"[a-z][a-z0-9.-]*[a-z0-9]", name)
    assert f"--branch {branch}" in json.dumps(template)
