"""What is known of a customer's files in advance: config/profiles/CUSTOMER.toml."""

import re
import tomllib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.columns import parse_told
from lib.errors import SettingsError
from lib.records import FIELDS
from lib.settings import ROOT

PROFILES = ROOT / "config" / "profiles"


class Profile(BaseModel):
    """How to read a customer's files; what is left out is recognized from each file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str] = Field(default_factory=dict)  # our field -> the file's header
    sheet: str = ""
    member: str = ""  # the file to read in a zip that holds several


def profile_of(customer: str, *, columns: str) -> Profile:
    """A customer's profile ('' for none), with columns told on the command line laid over it.

    Raises SettingsError when there is no such profile or one of the two is wrong.
    """
    profile = _read(customer) if customer else Profile()
    return profile.model_copy(update={"columns": profile.columns | parse_told(columns)})


def _read(customer: str) -> Profile:
    path = PROFILES / f"{customer}.toml"
    if not re.fullmatch(r"[\w-]+", customer) or not path.is_file():
        known = ", ".join(sorted(file.stem for file in PROFILES.glob("*.toml"))) or "none yet"
        raise SettingsError(f"--profile {customer!r}: there is no config/profiles/{customer}.toml (there are: {known})")
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        profile = Profile.model_validate(values)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    unknown = sorted(set(profile.columns) - set(FIELDS))
    if unknown:
        raise SettingsError(f"{path}: columns.{unknown[0]}: is not one of {', '.join(FIELDS)}")
    return profile
