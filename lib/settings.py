"""Typed settings: config/default.toml documents every key, another file gives only what differs.

Validated when a flow starts or is deployed, so that a mistake costs seconds and not a run.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lib.argo.deployment import METAFLOW_SPLITS, DeploymentSettings
from lib.errors import SettingsError
from lib.formats.unpacking import Limits
from lib.records import Reason

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_FILE = ROOT / "config" / "default.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BatchSettings(_Section):
    """How a file is split; rows are data rows of the source."""

    count: Annotated[int, Field(strict=True, ge=0, le=METAFLOW_SPLITS)]
    rows_at_least: Annotated[int, Field(strict=True, ge=1)]
    rows_at_most: Annotated[int, Field(strict=True, ge=1)]
    most: Annotated[int, Field(strict=True, ge=1, le=METAFLOW_SPLITS)]
    failed_at_most: Annotated[float, Field(ge=0, lt=1)]


class ReadingSettings(_Section):
    """How much a file may hold before it is refused."""

    columns: Annotated[int, Field(strict=True, ge=1)]
    blank_lines: Annotated[int, Field(strict=True, ge=0)]
    line_characters: Annotated[int, Field(strict=True, ge=1000)]
    unpacked_gigabytes: Annotated[float, Field(gt=0)]
    unpacked_ratio: Annotated[int, Field(strict=True, ge=1)]
    workbook_cells: Annotated[int, Field(strict=True, ge=1)]
    workbook_gigabytes: Annotated[float, Field(gt=0)]
    workbook_seconds: Annotated[int, Field(strict=True, ge=1)]

    def limits(self) -> Limits:
        """The same in bytes, for those who read."""
        return Limits(
            unpacked_bytes=int(self.unpacked_gigabytes * 2**30),
            unpacked_ratio=self.unpacked_ratio,
            line_characters=self.line_characters,
            workbook_cells=self.workbook_cells,
            workbook_memory_bytes=int(self.workbook_gigabytes * 2**30),
            workbook_seconds=self.workbook_seconds,
        )


class ValidationSettings(_Section):
    """Which reasons reject a row and which are only noted."""

    reject: list[Reason]
    warn: list[Reason]

    @model_validator(mode="after")
    def _each_reason_once(self) -> "ValidationSettings":
        both = sorted({*self.reject} & {*self.warn})
        if both:
            raise ValueError(f"{both[0]} stands in both reject and warn")
        if Reason.MISSING_NAME not in self.reject:
            raise ValueError("missing-name must reject: a product without a name cannot be categorized")
        return self


class RemoteSettings(_Section):
    """A slow model behind an HTTP endpoint; nothing is asked of it when the endpoint is empty."""

    endpoint: str
    model: str
    key_variable: str
    only_for_review: Annotated[bool, Field(strict=True)]
    describe: Literal["all", "definitions", "names"]
    texts_a_call: Annotated[int, Field(strict=True, ge=1, le=1000)]
    calls_at_once: Annotated[int, Field(strict=True, ge=1, le=64)]
    calls_a_minute: Annotated[float, Field(ge=0)]
    timeout_seconds: Annotated[float, Field(gt=0)]
    tries: Annotated[int, Field(strict=True, ge=1, le=20)]
    cache: str
    failures_at_most: Annotated[float, Field(ge=0, le=1)]
    price_in: Annotated[float, Field(ge=0)]
    price_out: Annotated[float, Field(ge=0)]
    request: dict[str, Any]

    @model_validator(mode="after")
    def _no_secret(self) -> "RemoteSettings":
        # As checks of the whole section, so that the error does not show what was given: it may be a key.
        if self.key_variable and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", self.key_variable):
            raise ValueError("key_variable must be the name of an environment variable, in capitals, and never a key")
        parts = urlsplit(self.endpoint)
        if self.endpoint and not (parts.scheme in ("http", "https") and parts.hostname):
            raise ValueError("endpoint must be an address such as https://HOST/v1")
        if "@" in parts.netloc or parts.query:
            raise ValueError("endpoint must hold no password and no query; name the key's variable in key_variable")
        if self.endpoint and not self.model:
            raise ValueError("model must name the endpoint's model")
        if "://" in self.cache:
            raise ValueError("cache must be a file of this machine, or empty")
        return self

    @property
    def cache_path(self) -> str:
        """The cache's file as an absolute path; '' for none."""
        return str(ROOT / Path(self.cache).expanduser()) if self.cache else ""


class ReviewSettings(_Section):
    """What people's decisions in review count for."""

    across_customers: Annotated[bool, Field(strict=True)]


class JobSettings(_Section):
    """Where import jobs run."""

    runner: Literal["local", "argo"]
    template: Annotated[str, Field(min_length=1)]
    template_small: str
    workers: Annotated[int, Field(strict=True, ge=0)]


class Settings(_Section):
    """All settings; the meaning of each key stands in config/default.toml."""

    model: Annotated[str, Field(min_length=1)]
    precision: Annotated[float, Field(strict=True, ge=0.7, le=0.99)]
    review_threshold: Annotated[float, Field(strict=True, ge=0, le=1)]
    database_url: str
    keep_shards: Annotated[bool, Field(strict=True)]
    batches: BatchSettings
    reading: ReadingSettings
    validation: ValidationSettings
    review: ReviewSettings
    remote: RemoteSettings
    deployment: DeploymentSettings
    jobs: JobSettings

    @property
    def catalog_url(self) -> str:
        """The catalog's SQLAlchemy URL, from here or the environment; empty means SQLite in the output folder."""
        return self.database_url or os.environ.get("SHELFSORT_DATABASE_URL", "")

    @property
    def model_uri(self) -> str:
        """The model's folder as an absolute path or a URI."""
        return self.model if "://" in self.model else str(ROOT / self.model)


def parse(text: str) -> dict[str, Any]:
    """Settings from the text of a TOML file laid over the defaults, validated, as a plain dict (Metaflow keeps that).

    Raises SettingsError with the first mistake.
    """
    return settings_of(_merged(_toml(DEFAULT_FILE.read_text("utf-8")), _toml(text))).model_dump(mode="json")


def snapshot(settings: Settings) -> dict[str, Any]:
    """Settings to be kept with a job: all but where it runs and where the catalog is, which may be secret."""
    return settings.model_dump(mode="json", exclude={"database_url", "deployment"})


def restored(kept: Mapping[str, Any], *, database_url: str) -> dict[str, Any]:
    """A snapshot's settings on this machine, with the defaults of keys that are younger than it."""
    values = _merged(_merged(_toml(DEFAULT_FILE.read_text("utf-8")), kept), {"database_url": database_url})
    return settings_of(values).model_dump(mode="json")


def settings_of(values: Mapping[str, Any]) -> Settings:
    """Typed settings from a complete dict; SettingsError with the first mistake."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = "" if first["type"] != "extra_forbidden" else "; the known keys are in config/default.toml"
        what = "there is no such key" if known else first["msg"].removeprefix("Value error, ")
        given = "" if known or isinstance(first["input"], Mapping) else f" (it is {first['input']!r})"
        raise SettingsError(f"{where}: {what}{given}{known}") from None


def check_file(path: str) -> None:
    """Raise a SettingsError that names the file when it cannot be used; a pipe is left for who reads it next."""
    if Path(path).is_fifo() or Path(path).is_char_device():
        return
    try:
        parse(Path(path).read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; give --config settings an existing TOML file") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not a UTF-8 text file; give --config settings a TOML file") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not valid TOML: {error}") from None


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return merged
