"""As much of Kubernetes' API as Metaflow asks for: a template, and workflows of it that are walked when triggered.

The shapes are those of Argo's own resources: a workflow has its template's annotations, and no status before its
controller has seen it.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.deploy.walk import Cluster, Workflow

_GROUP = "/apis/argoproj.io/v1alpha1/namespaces"
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch"}


@dataclass
class ArgoApi:
    """A namespace with one workflow template."""

    template: dict[str, Any]
    cluster: Cluster
    kubeconfig: Path
    asked: set[tuple[str, str]] = field(default_factory=set)  # verb and resource, as RBAC calls them
    workflows: dict[str, Workflow] = field(default_factory=dict)  # by name, in the order in which they were triggered
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What Metaflow reads to reach it."""
        return {"KUBECONFIG": str(self.kubeconfig), "METAFLOW_KUBERNETES_NAMESPACE": self.namespace}

    @property
    def namespace(self) -> str:
        """Where the template is."""
        return str(self.template["metadata"]["namespace"])

    def forget(self, name: str) -> None:
        """Remove a workflow that has ended, as Argo does after its time to live."""
        del self.workflows[name]

    def wait(self) -> None:
        """Until all workflows have ended."""
        for thread in self._threads:
            thread.join()

    def answer(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any] | None:
        """The resource that a request is answered with; None for one that is not there."""
        _, _, rest = path.partition(f"{_GROUP}/{self.namespace}/")
        kind, _, name = rest.partition("/")
        self.asked.add((_VERBS[method], kind))
        if (method, kind) == ("GET", "workflowtemplates"):
            return self.template if name == self.template["metadata"]["name"] else None
        if (method, kind, name) == ("POST", "workflows", "") and body:
            return self._trigger(body)
        workflow = self.workflows.get(name) if kind == "workflows" else None
        if workflow is None:
            return None
        if method == "PATCH" and body:
            assert body["spec"]["shutdown"] == "Terminate"
            workflow.terminate()
        return self._shown(workflow)

    def _trigger(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["spec"]["workflowTemplateRef"]["name"] == self.template["metadata"]["name"]
        given = {one["name"]: json.loads(one["value"]) for one in body["spec"]["arguments"]["parameters"]}
        workflow = Workflow(self.cluster, self.template, given, lambda pod: "")
        self.workflows[workflow.name] = workflow
        thread = threading.Thread(target=workflow.run, daemon=True)
        self._threads.append(thread)
        shown = self._shown(workflow)
        thread.start()
        return shown

    def _shown(self, workflow: Workflow) -> dict[str, Any]:
        annotations = self.template["spec"]["workflowMetadata"]["annotations"]
        ended = None if workflow.status == "Running" else "2026-11-24T12:00:00Z"
        return {
            "metadata": {"name": workflow.name, "annotations": annotations},
            "spec": {},
            "status": {"phase": workflow.status, "finishedAt": ended},
        }


@contextmanager
def argo_api(template: dict[str, Any], cluster: Cluster, folder: Path) -> Iterator[ArgoApi]:
    """Serve a template's namespace; the folder gets the file that says where. Waits at its end for the workflows."""
    kubeconfig = folder / "kubeconfig"
    api = ArgoApi(template, cluster, kubeconfig)

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = api.answer(self.command, self.path, json.loads(content) if content else None)
            text = json.dumps(found if found is not None else {"message": f"{self.path} not found"}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815 - http.server's names

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        cluster_entry = {"name": "walked", "cluster": {"server": f"http://127.0.0.1:{listening.server_port}"}}
        context = {"name": "walked", "context": {"cluster": "walked", "user": "nobody"}}
        content = {"clusters": [cluster_entry], "contexts": [context], "users": [{"name": "nobody", "user": {}}]}
        kubeconfig.write_text(json.dumps(content | {"current-context": "walked"}), "utf-8")
        serving = threading.Thread(target=listening.serve_forever, daemon=True)
        serving.start()
        try:
            yield api
        finally:
            for workflow in api.workflows.values():
                workflow.terminate()
            api.wait()
            listening.shutdown()
            serving.join()
