"""The exit handler of the deployed workflow: Metaflow's own, made to tell the job store, and to run as our pods do.

Metaflow's @exit_hook would not do. By Argo's code its hooks are pods like others, which a stopped workflow starts no
more, and it brings a template that calls an address of PagerDuty's. Metaflow's error hook is an `onExit`, which Argo
runs after failed, stopped and timed-out workflows; but it gives up before its own extension script when Argo names no
failure.
"""

from typing import Any

from lib.errors import SettingsError
from lib.settings import Settings

RETRIES, MINUTES_BETWEEN = 5, 2  # a database that is away for a failover is back by then
HANDLER = "error-msg-capture-hook"
# In its command: the code package has been unpacked, and from here on Metaflow looks at the failure.
_THEIRS = "argo_error="
_OURS = "python -m lib.argo.workflowend {{=toBase64(workflow.parameters['job-id'])}}"


def install(settings: Settings, *, variables: dict[str, str], security: dict[str, Any]) -> None:
    """Have Metaflow's compiler, in this process, give its error hook our command, variables and security context.

    Metaflow has no option for it, so a method of the pinned version is wrapped; the golden template shows what comes of
    it. Raises SettingsError, while compiling, when that version's hook is not as it was.
    """
    from metaflow.plugins.argo.argo_workflows import ArgoWorkflows

    theirs = ArgoWorkflows._error_msg_capture_hook_templates
    if hasattr(theirs, "with_ours"):
        return

    def with_ours(workflows: Any) -> list[Any]:
        templates = list(theirs(workflows))
        _change(templates[0], settings, variables, security)
        return templates

    with_ours.with_ours = True  # type: ignore[attr-defined]
    ArgoWorkflows._error_msg_capture_hook_templates = with_ours


def _change(template: Any, settings: Settings, variables: dict[str, str], security: dict[str, Any]) -> None:
    container = template.payload.get("container") or {}
    command = container.get("command") or [""]
    before, found, after = command[-1].partition(f"&& {_THEIRS}")
    if template.payload["name"] != HANDLER or not found:
        raise SettingsError("this version of Metaflow has another exit handler than 2.19.39; see exithandler.py")
    # Where theirs fails, that is no reason to try again what ours has recorded.
    command[-1] = f"{before}&& {_OURS} && {{ {_THEIRS}{after} || true; }}"
    database = {"SHELFSORT_DATABASE_URL": settings.database_url} if settings.database_url else {}
    container["env"] += [{"name": name, "value": value} for name, value in {**variables, **database}.items()]
    container["securityContext"] = security
    template.payload["retryStrategy"] = {
        "retryPolicy": "Always",
        "limit": RETRIES,
        "backoff": {"duration": f"{MINUTES_BETWEEN}m"},
    }
