"""Our errors as one line without a traceback, in a step of a flow."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from metaflow.exception import MetaflowException

from lib.errors import ShelfsortError


class Refused(MetaflowException):
    """What Metaflow prints as a headline and a line, where any other exception gets a traceback."""

    headline = "Shelfsort"


def one_line_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a step (below @step) or a Config parser, so that a ShelfsortError ends in its line alone."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except ShelfsortError as error:
            raise Refused(str(error)) from error

    return wrapped
