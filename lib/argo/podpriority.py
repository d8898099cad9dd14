"""The PriorityClass of a deployment's pods, for which Metaflow has no option."""

from typing import Any


def install(priority_class: str) -> None:
    """Have Metaflow's compiler, in this process, name a PriorityClass for the template's pods; '' for none."""
    from metaflow.plugins.argo.argo_workflows import ArgoWorkflows

    theirs = ArgoWorkflows._compile_workflow_template
    if not priority_class or hasattr(theirs, "with_ours"):
        return

    def with_ours(workflows: Any) -> Any:
        template = theirs(workflows)
        template.payload["spec"]["podPriorityClassName"] = priority_class
        return template

    with_ours.with_ours = True  # type: ignore[attr-defined]
    ArgoWorkflows._compile_workflow_template = with_ours
