"""What deploying asks of the cluster, and what it puts there: with a stand-in for Kubernetes' API."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from lib import deploy
from lib.argo import cluster
from lib.argo.preflight import Machine
from lib.settings import ROOT
from tests.deploy.conftest import answering

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: here, cluster: {server: "%s"}}]
contexts: [{name: here, context: {cluster: here, user: me}}]
users: [{name: me, user: {token: nothing}}]
current-context: here
"""
TEMPLATES = "/apis/argoproj.io/v1alpha1/namespaces/shelfsort/workflowtemplates"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (200, ""),
        (404, "has no Argo Workflows; install it (3.6 or newer)"),
        (
            403,
            "answered 403 to who asks for the workflow templates of namespace shelfsort; use an account with the role",
        ),
        (None, "cannot be reached; see `kubectl config current-context`"),
    ],
)
def test_a_cluster_that_would_take_no_template_is_told(
    status: int | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with answering(status or 200, path=TEMPLATES) as address:
        (tmp_path / "config").write_text(KUBECONFIG % (address if status else "http://127.0.0.1:9"))
        found = cluster.cluster_problem("shelfsort")
    assert said in found
    assert bool(said) == bool(found)


def test_no_cluster_at_all_is_told_before_anything_is_compiled(
    deployer: Machine,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deploy, "machine_from", lambda environment: deployer)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert deploy.main(["--config", str(config), "--branch", "try", "--allow-uncommitted"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("refused: the cluster: Invalid kube-config file. No configuration found; set KUBECONFIG")


NAMES = ["shelfsort.prod.categorizeflow", "shelfsort.prod.small.categorizeflow"]


@dataclass
class Templates:
    """A namespace that keeps workflow templates, and notes what was asked for."""

    kept: dict[str, Any] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)  # verb and resource, as RBAC calls them

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        kind, _, name = path.partition("?")[0].partition("/namespaces/shelfsort/")[2].partition("/")
        verbs = {"GET": "get" if name else "list", "POST": "create", "PUT": "update", "DELETE": "delete"}
        self.asked.add((verbs[method], kind))
        if method in ("POST", "PUT"):
            self.kept[body["metadata"]["name"]] = body
            body["metadata"]["resourceVersion"] = "1"
            return 200, body
        if not name:
            return 200, {"items": []}
        return (200, self.kept[name]) if kind == "workflowtemplates" and name in self.kept else (404, {"message": name})


@contextmanager
def serving(templates: Templates) -> Iterator[str]:
    """The address of a namespace."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, found = templates.answer(self.command, self.path, json.loads(content) if content else None)
            text = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - http.server's names

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_both_templates_are_made_and_replaced_with_no_more_rights_than_the_role_has(
    deployer: Machine,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deploy, "machine_from", lambda environment: deployer)
    # Compiling for the checks takes as long again, and other tests do it.
    monkeypatch.setattr(deploy, "_checked", lambda *given: (NAMES, []))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    line = ["--config", str(config), "--production", "--allow-uncommitted"]
    templates = Templates()
    with serving(templates) as address:
        (tmp_path / "config").write_text(KUBECONFIG % address)
        assert deploy.main(line) == 0, capsys.readouterr().err
        assert sorted(templates.kept) == NAMES
        assert capsys.readouterr().out.splitlines()[-1] == (
            f'deployed; who submits sets [jobs] runner = "argo", template = "{NAMES[0]}", template_small = "{NAMES[1]}"'
        )
        first = templates.kept[NAMES[0]]["metadata"]["annotations"]["metaflow/production_token"]
        # Another user, who has not the first one's token.
        monkeypatch.setenv("USERNAME", "somebody")
        monkeypatch.setenv("METAFLOW_HOME", str(tmp_path))
        assert deploy.main(line) == 1
        assert capsys.readouterr().err.splitlines()[1:] == [
            f"failed: {NAMES[0]}: another user has deployed it; --take-over replaces theirs"
        ]
        assert deploy.main([*line, "--take-over"]) == 0, capsys.readouterr().err
        annotations = templates.kept[NAMES[0]]["metadata"]["annotations"]
        assert (annotations["metaflow/owner"], annotations["metaflow/production_token"]) == ("somebody", first)
    roles = yaml.safe_load_all((ROOT / "config" / "kubernetes" / "access.yaml").read_text("utf-8"))
    (role,) = (one for one in roles if one["kind"] == "Role" and one["metadata"]["name"] == "shelfsort-deploy")
    granted = {(verb, kind) for rule in role["rules"] for kind in rule["resources"] for verb in rule["verbs"]}
    assert templates.asked <= granted
