"""What the deploying machine asks of the cluster before Metaflow does, which tells of its failures by tracebacks."""

import os
from typing import Any

from lib.argo.reachable import SECONDS

_TEMPLATES = {"group": "argoproj.io", "version": "v1alpha1", "plural": "workflowtemplates"}


def cluster_problem(namespace: str) -> str:
    """What keeps this machine from putting workflow templates into a namespace, '' for nothing that can be seen."""
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    settings = client.Configuration()
    try:
        _load(settings)
        asked = client.CustomObjectsApi(client.ApiClient(settings))
        asked.list_namespaced_custom_object(**_TEMPLATES, namespace=namespace, limit=1, _request_timeout=SECONDS - 2)
    except config.ConfigException as error:
        return f"{' '.join(str(error).split()).rstrip('.')}; set KUBECONFIG, or point kubectl at the cluster"
    except client.ApiException as error:
        if error.status == 404:
            return (
                f"{settings.host} has no Argo Workflows; install it (3.6 or newer), or point kubectl at another cluster"
            )
        return (
            f"{settings.host} answered {error.status} to who asks for the workflow templates of namespace {namespace}; "
            "use an account with the role shelfsort-deploy (config/kubernetes/access.yaml)"
        )
    except (HTTPError, OSError):
        return f"{settings.host} cannot be reached; see `kubectl config current-context`"
    return ""


def production_token(namespace: str, name: str) -> str:
    """The token by which Metaflow knows who may replace a template, no secret; '' where there is no template."""
    from kubernetes import client

    settings = client.Configuration()
    _load(settings)
    asked = client.CustomObjectsApi(client.ApiClient(settings))
    try:
        found = asked.get_namespaced_custom_object(**_TEMPLATES, namespace=namespace, name=name)
    except client.ApiException:
        return ""  # Metaflow asks the same, and says what is wrong
    return str(found["metadata"].get("annotations", {}).get("metaflow/production_token", ""))


def _load(settings: Any) -> None:
    from kubernetes import config

    settings.retries = False
    # As Metaflow chooses.
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config(client_configuration=settings)
    else:
        config.load_kube_config(client_configuration=settings)
