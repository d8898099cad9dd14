"""config/kubernetes and the Dockerfile: that they parse, agree with the flow, and grant no more than they say."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hera.workflows import models

from lib.argo.deployment import USER_ID, DeploymentSettings
from lib.settings import ROOT, parse, settings_of
from tests.deploy.argo_schema import violations_of
from tests.deploy.conftest import Deployment

FOLDER = ROOT / "config" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


def of_kind(name: str, kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in documents(name) if found["kind"] == kind}


@pytest.fixture(scope="module")
def production() -> DeploymentSettings:
    return settings_of(parse((ROOT / "config" / "production.toml").read_text("utf-8"))).deployment


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_namespaced_object_is_in_the_namespace_of_the_settings(
    path: Path, production: DeploymentSettings
) -> None:
    found = [document for document in documents(path.name) if "kind" in document]
    places = {document["metadata"].get("namespace", production.namespace) for document in found}
    assert places <= {production.namespace}


def test_the_pods_may_report_their_results_to_argo_and_nothing_else(production: DeploymentSettings) -> None:
    account = production.service_account
    assert account in of_kind("access.yaml", "ServiceAccount")
    (rule,) = of_kind("access.yaml", "Role")[account]["rules"]
    assert rule == {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}


def test_no_role_reads_secrets_uses_wildcards_or_reaches_beyond_argo() -> None:
    roles = of_kind("access.yaml", "Role")
    assert {*roles} == {"shelfsort-pods", "shelfsort-trigger", "shelfsort-deploy"}
    for role in roles.values():
        for rule in role["rules"]:
            assert rule["apiGroups"] == ["argoproj.io"]
            assert "*" not in rule["resources"] + rule["verbs"]
    assert not of_kind("access.yaml", "ClusterRole")


def test_every_role_is_bound_to_the_account_of_its_name() -> None:
    for name, binding in of_kind("access.yaml", "RoleBinding").items():
        assert binding["roleRef"]["name"] == name
        assert [(subject["kind"], subject["name"]) for subject in binding["subjects"]] == [("ServiceAccount", name)]


def test_the_network_policy_holds_for_the_pods_and_lets_nothing_in(deployment: Deployment) -> None:
    (policy,) = documents("network.yaml")
    labels = deployment.template["spec"]["podMetadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"] == []
    blocks = [to["ipBlock"] for rule in policy["spec"]["egress"] for to in rule["to"] if "ipBlock" in to]
    assert blocks
    assert all("169.254.169.254/32" in block["except"] for block in blocks)


def hard(name: str) -> dict[str, float]:
    """What a quota allows, in pods, cores and bytes."""
    found = of_kind("quota.yaml", "ResourceQuota")[name]["spec"]["hard"]
    return {
        key: float(value.removesuffix("Gi")) * (2**30 if value.endswith("Gi") else 1) for key, value in found.items()
    }


def width(deployment: DeploymentSettings) -> dict[str, float]:
    """What an import takes at its widest."""
    batch, pods = deployment.of_step("categorize"), deployment.parallel_batches
    own = {"pods": pods, "cpu": pods * batch.cpu, "memory": pods * batch.memory * 1e6}
    return own | {"ephemeral-storage": pods * batch.disk * 1e6}


@pytest.mark.parametrize(("quota", "imports"), [("shelfsort", 2), ("shelfsort-small", 10)])
def test_the_quotas_have_room_for_several_imports_at_their_widest(
    production: DeploymentSettings, quota: str, imports: int
) -> None:
    one = width(production if quota == "shelfsort" else production.for_small())
    allowed = hard(quota)
    assert allowed["pods"] >= imports * one["pods"]
    for kind in ("cpu", "memory"):
        assert allowed[f"limits.{kind}"] == allowed[f"requests.{kind}"] >= imports * one[kind]
    both = 2 * width(production)["ephemeral-storage"] + 10 * width(production.for_small())["ephemeral-storage"]
    assert hard("shelfsort-disk")["requests.ephemeral-storage"] >= both
    # Without them a quota refuses the containers that Argo puts beside each step.
    (limits,) = of_kind("quota.yaml", "LimitRange")["shelfsort"]["spec"]["limits"]
    assert {*limits["defaultRequest"]} >= {"cpu", "memory"} <= {*limits["default"]}


def test_the_pods_of_small_files_count_against_a_quota_of_their_own(production: DeploymentSettings) -> None:
    (priority,) = of_kind("quota.yaml", "PriorityClass").values()
    assert priority["metadata"]["name"] == production.small.priority_class
    assert priority["preemptionPolicy"] == "Never"
    quotas = of_kind("quota.yaml", "ResourceQuota")
    scopes = {name: quota["spec"].get("scopeSelector", {}).get("matchExpressions") for name, quota in quotas.items()}
    scope = {"scopeName": "PriorityClass", "values": [production.small.priority_class]}
    assert scopes == {
        "shelfsort": [{**scope, "operator": "NotIn"}],
        "shelfsort-small": [{**scope, "operator": "In"}],
        "shelfsort-disk": None,
    }
    # Kubernetes refuses a quota by class that counts anything else.
    for name in ("shelfsort", "shelfsort-small"):
        kinds = {f"{part}.{kind}" for part in ("requests", "limits") for kind in ("cpu", "memory")}
        assert {*quotas[name]["spec"]["hard"]} == {"pods", *kinds}


def test_workflows_wait_for_the_quotas_and_not_for_argos_limit_of_workflows() -> None:
    (patch,) = documents("workflow-defaults.yaml")
    assert int(patch["data"]["namespaceParallelism"]) >= hard("shelfsort")["pods"] + hard("shelfsort-small")["pods"]


def test_argo_knows_every_field_of_the_workflow_defaults() -> None:
    (patch,) = documents("workflow-defaults.yaml")
    defaults = yaml.safe_load(patch["data"]["workflowDefaults"])
    assert violations_of(models.WorkflowSpec, defaults["spec"]) == []
    assert int(patch["data"]["namespaceParallelism"]) > 0
    assert defaults["spec"]["ttlStrategy"]["secondsAfterSuccess"] > 0
    assert defaults["spec"]["securityContext"]["runAsUser"] == USER_ID
    pod = yaml.safe_load(defaults["spec"]["podSpecPatch"])
    (main,) = pod["containers"]
    assert violations_of(models.Container, {"image": "of the template", **main}) == []
    assert violations_of(list[models.Volume], pod["volumes"]) == []
    assert main["securityContext"]["readOnlyRootFilesystem"]
    mounted = {mount["name"]: mount["mountPath"] for mount in main["volumeMounts"]}
    assert {*mounted} == {volume["name"] for volume in pod["volumes"]}
    # Where Metaflow writes in a pod; it mounts /mnt/out itself.
    assert {*mounted.values()} == {re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, re.M)[-1], "/tmp"}


@pytest.mark.parametrize(
    ("job_id", "fits"),
    [
        ('"6f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"', True),
        ("6F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0", True),
        ('"$(touch x)"', False),
        ("6f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0; touch x", False),
        ('""', False),
    ],
)
def test_the_admission_policy_takes_uuids_alone(job_id: str, fits: bool) -> None:
    (policy,) = of_kind("job-ids.yaml", "ValidatingAdmissionPolicy").values()
    (check,) = policy["spec"]["validations"]
    (pattern,) = re.findall(r"matches\(\s*'([^']+)'", check["expression"])
    assert bool(re.search(pattern, job_id)) is fits
    (binding,) = of_kind("job-ids.yaml", "ValidatingAdmissionPolicyBinding").values()
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert binding["spec"]["validationActions"] == ["Deny"]


def test_the_image_holds_the_requirements_and_no_code() -> None:
    copied = re.findall(r"^COPY (?:--from=\S+ )?(\S+) ", DOCKERFILE, re.M)
    assert copied == ["requirements.txt", "/opt/venv"]
    assert (ROOT / ".dockerignore").read_text("utf-8").split("\n")[-3:] == ["*", "!requirements.txt", ""]
    assert not re.search(r"^ADD ", DOCKERFILE, re.M)


def test_the_images_base_is_pinned_by_its_digest_and_nothing_else_is_built_on() -> None:
    assert re.search(r"^ARG BASE=python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.M)
    assert {*re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)} == {"${BASE}"}


def test_the_image_runs_as_the_settings_user_and_installs_nothing_at_start() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (\S+)$", last, re.M) == [f"{USER_ID}:{USER_ID}"]
    assert "METAFLOW_SKIP_INSTALL_DEPENDENCIES=1" in last
    for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines():
        assert not line.strip() or line.startswith("#") or re.fullmatch(r"[\w.\[\]-]+==[\w.]+", line)
