"""How the flow is deployed to Argo Workflows: the settings' section [deployment], which local runs do not read."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

# The image's user (see Dockerfile); a number, because Kubernetes cannot tell whether a name is root.
USER_ID = 10001
# Metaflow stops a foreach with more splits than this unless told otherwise (its --max-num-splits).
METAFLOW_SPLITS = 100

# What Kubernetes takes as a namespace, as most other names, and as a label's prefix, name and value.
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?", re.ASCII)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StepSettings(_Section):
    """What one step's pod may use, and how it is tried again; sizes in MB (10^6 bytes)."""

    cpu: Annotated[float, Field(gt=0)]
    memory: Annotated[int, Field(strict=True, ge=256)]
    disk: Annotated[int, Field(strict=True, ge=256)]
    retries: Annotated[int, Field(strict=True, ge=0, le=4)]  # Metaflow allows no more
    minutes_between_retries: Annotated[int, Field(strict=True, ge=0, le=60)]
    timeout_minutes: Annotated[int, Field(strict=True, ge=1)]


class SmallSettings(_Section):
    """What the second deployment has otherwise, which takes small files."""

    parallel_batches: Annotated[int, Field(strict=True, ge=1, le=METAFLOW_SPLITS)]
    priority: Annotated[int, Field(strict=True)]
    priority_class: str
    steps: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _name_is_valid(self) -> "SmallSettings":
        _check_names(self, "priority_class")
        return self


class DeploymentSettings(_Section):
    """The deployment; the meaning of each key stands in config/default.toml."""

    image: str
    output: str
    namespace: str
    service_account: str
    database_secret: str
    secrets: list[str]
    environment: dict[str, str]
    node_selector: dict[str, str]
    parallel_batches: Annotated[int, Field(strict=True, ge=1, le=METAFLOW_SPLITS)]
    priority: Annotated[int, Field(strict=True)]
    priority_class: str
    timeout_hours: Annotated[int, Field(strict=True, ge=1)]
    each_step: StepSettings
    steps: dict[str, dict[str, Any]]
    small: SmallSettings

    # Not key by key: such an error shows what was given, and that may be a secret in a wrong place.
    @model_validator(mode="after")
    def _names_are_valid(self) -> "DeploymentSettings":
        if not _NAMESPACE.fullmatch(self.namespace):
            raise ValueError("namespace must be 1 to 63 lower-case letters, digits and '-', as Kubernetes takes it")
        _check_names(self, "service_account", "database_secret", "priority_class")
        if not all(map(_NAME.fullmatch, self.secrets)):
            raise ValueError("secrets must hold the names of Kubernetes secrets, and never what is in them")
        if not all(map(_VARIABLE.fullmatch, self.environment)):
            raise ValueError('environment must have names of variables, in capitals: NAME = "value"')
        pairs = self.node_selector.items()
        if not all(_LABEL.fullmatch(name) and _LABEL_VALUE.fullmatch(value) for name, value in pairs):
            raise ValueError("node_selector must have labels of nodes and their values, as Kubernetes takes them")
        return self

    @model_validator(mode="after")
    def _steps_are_valid(self) -> "DeploymentSettings":
        for given in (self, self.for_small()):
            for name in given.steps:
                given.of_step(name)
        return self

    def for_small(self) -> "DeploymentSettings":
        """The second deployment's settings: these, and over them what `small` says."""
        over = self.small
        steps = {name: self.steps.get(name, {}) | over.steps.get(name, {}) for name in self.steps | over.steps}
        given = {name: getattr(over, name) for name in ("parallel_batches", "priority", "priority_class")}
        return self.model_copy(update={**given, "steps": steps})

    def of_step(self, name: str) -> StepSettings:
        """What a step gets: `each_step`, and over it what its own section says."""
        unknown = sorted({*self.steps.get(name, {})} - {*StepSettings.model_fields})
        if unknown:
            raise ValueError(f"steps.{name}.{unknown[0]}: there is no such key; each_step has the known ones")
        return StepSettings.model_validate(self.each_step.model_dump() | self.steps.get(name, {}))

    @property
    def all_secrets(self) -> list[str]:
        """The names of the Kubernetes secrets whose entries the pods get as environment variables."""
        return [name for name in (self.database_secret, *self.secrets) if name]


def _check_names(section: BaseModel, *keys: str) -> None:
    """Raise ValueError where a key has what Kubernetes takes for no name; '' is none."""
    for key in keys:
        if getattr(section, key) and not _NAME.fullmatch(getattr(section, key)):
            raise ValueError(
                f"{key} must be a name in Kubernetes: lower-case letters, digits, '-' and '.'; empty for none"
            )
