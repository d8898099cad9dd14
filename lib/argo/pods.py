"""What the flow becomes on Argo Workflows: decorators from the settings, and the job's UUID as its one argument.

A local run gets nothing of it: decorators are added only while a template is compiled, and in the template's pods.
"""

import os
import re
import sys
import uuid
from collections.abc import Mapping
from typing import Any

from metaflow import FlowMutator, Parameter, project
from metaflow.metaflow_config import S3_ENDPOINT_URL

from lib.argo import exithandler, podpriority
from lib.argo.deployment import USER_ID
from lib.errors import SettingsError
from lib.processes import cores
from lib.refusing import Refused, one_line_errors
from lib.settings import settings_of

PROJECT = "shelfsort"
JOB = "job_id"
# The variable in which Metaflow's start pod hands over the argument, and one that only Argo's pods have.
JOB_VARIABLE = "METAFLOW_INIT_JOB_ID"
POD_VARIABLE = "ARGO_WORKFLOW_TEMPLATE"


# Of every container, in Metaflow's spelling.
SECURITY = {
    "run_as_user": USER_ID,
    "run_as_group": USER_ID,
    "run_as_non_root": True,
    "allow_privilege_escalation": False,
}


def on_argo() -> bool:
    """Whether this process compiles the flow for Argo, or is one of its pods."""
    words = [word for word in sys.argv[1:] if word in ("run", "resume", "argo-workflows")]
    return POD_VARIABLE in os.environ or words[:1] == ["argo-workflows"]


def workers(config: Mapping[str, Any]) -> int:
    """How many batches are worked on at a time: on Argo as many as the settings say, else one a core."""
    return settings_of(config).deployment.parallel_batches if POD_VARIABLE in os.environ else cores()


def deployable(flow: Any) -> Any:
    """Decorate a flow, so that its deployments are branches of a project and follow the settings' [deployment]."""
    # Not in the mutator: Metaflow reads the options --branch and --production from decorators before those run.
    return _FromSettings()(project(name=PROJECT)(flow) if on_argo() else flow)


class _FromSettings(FlowMutator):
    """Adds what the section [deployment] says."""

    def pre_mutate(self, mutable_flow: Any) -> None:
        """Leave the job's UUID as the only parameter: values pass through a shell in the start pod."""
        if not on_argo():
            return
        _refuse_other_than_uuid()
        values = {"output": _deployment(mutable_flow).output}
        for name, parameter in list(mutable_flow.parameters):
            if name != JOB:
                mutable_flow.remove_parameter(parameter.name)
                setattr(self._flow_cls, name, values.get(name, ""))
        job = Parameter("job-id", default="", help="The UUID of the job.")
        mutable_flow.add_parameter(JOB, job, overwrite=True)

    @one_line_errors
    def mutate(self, mutable_flow: Any) -> None:
        """Give each step its pod, retries, timeout and environment."""
        if not on_argo():
            return
        given = settings_of(dict(mutable_flow.configs)["settings"])
        deployment = given.deployment
        variables = _variables(deployment.environment)
        if POD_VARIABLE not in os.environ:
            exithandler.install(given, variables=variables, security=_camel_case(SECURITY))
            podpriority.install(deployment.priority_class)
        steps = dict(mutable_flow.steps)
        unknown = sorted({*deployment.steps} - {*steps})
        if unknown:
            raise SettingsError(f"deployment.steps.{unknown[0]}: the flow has no such step; it has {', '.join(steps)}")
        for name, step in steps.items():
            wanted = deployment.of_step(name)
            step.add_decorator(
                "kubernetes",
                deco_kwargs={
                    "image": deployment.image or None,
                    "cpu": f"{wanted.cpu:g}",
                    "memory": str(wanted.memory),
                    "disk": str(wanted.disk),
                    "service_account": deployment.service_account or None,
                    "secrets": deployment.all_secrets,
                    "node_selector": deployment.node_selector or None,
                    # Limits as well as requests: a batch that grows is stopped, not its neighbours.
                    "qos": "Guaranteed",
                    "security_context": SECURITY,
                },
            )
            step.add_decorator(
                "retry",
                deco_kwargs={
                    "times": str(wanted.retries),
                    "minutes_between_retries": str(wanted.minutes_between_retries),
                },
            )
            step.add_decorator("timeout", deco_kwargs={"minutes": wanted.timeout_minutes})
            step.add_decorator("environment", deco_kwargs={"vars": variables})


def _deployment(mutable_flow: Any) -> Any:
    return settings_of(dict(mutable_flow.configs)["settings"]).deployment


def _variables(own: Mapping[str, str]) -> dict[str, str]:
    # Metaflow hands its pods the S3 server's address under a name of its own, which boto3 does not read.
    endpoint = {"AWS_ENDPOINT_URL": S3_ENDPOINT_URL} if S3_ENDPOINT_URL else {}
    return {"METAFLOW_SKIP_INSTALL_DEPENDENCIES": "1", **endpoint, **own}


def _camel_case(names: Mapping[str, Any]) -> dict[str, Any]:
    """The same in Kubernetes' own spelling."""
    return {re.sub(r"_(.)", lambda found: found[1].upper(), name): value for name, value in names.items()}


def _refuse_other_than_uuid() -> None:
    given = os.environ.get(JOB_VARIABLE)
    if given is None or POD_VARIABLE not in os.environ:
        return
    try:
        uuid.UUID(given)
    except ValueError:
        raise Refused(f"--job-id {given!r}: not a UUID; trigger with the UUID that `submit` printed") from None
