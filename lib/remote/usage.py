"""What a slow model was asked and what it cost: counts that a batch writes down and the report adds up."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Failure(StrEnum):
    """Why a text has no answer."""

    TIMEOUT = "timeout"  # no whole answer in time
    CONNECTION = "connection"  # not reached, or cut off
    BUSY = "busy"  # HTTP 429
    SERVER_ERROR = "server-error"  # HTTP 500 and above
    REFUSED = "refused"  # the request with this text alone is a bad one (HTTP 400, 413, 422), a filter for instance
    UNREADABLE = "unreadable"  # the answer holds no JSON with answers
    MISSING = "missing"  # the answer lacks this text
    NO_SUCH_CATEGORY = "no-such-category"
    NO_CONFIDENCE = "no-confidence"  # none, or not a number from 0 to 1
    CONTRADICTION = "contradiction"  # two answers that differ


@dataclass
class Usage:
    """Counts over distinct texts and HTTP calls; one for each categorizer, added up over batches."""

    texts: int = 0  # looked up
    cache_hits: int = 0  # of them answered by the cache
    answered: int = 0  # of them answered by the model
    failures: Counter[str] = field(default_factory=Counter)  # Failure -> of them without an answer
    calls: int = 0  # HTTP requests, all tries
    retries: int = 0  # of them for texts that had been asked before
    prompt_tokens: int = 0  # as the endpoint counts them
    completion_tokens: int = 0
    cost: float = 0.0  # tokens times the prices of the settings
    seconds_waited: float = 0.0  # for a turn and between tries, over all threads

    def add(self, other: "Usage") -> None:
        """Count the other's in."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def as_json(self) -> dict[str, Any]:
        """The counts as plain JSON values; the cost to a millionth, the seconds to a hundredth."""
        failures = dict(sorted(self.failures.items(), key=lambda item: (-item[1], item[0])))
        rounded = {"cost": round(self.cost, 6), "seconds_waited": round(self.seconds_waited, 2)}
        return asdict(self) | {"failures": failures} | rounded

    @staticmethod
    def of_json(values: dict[str, Any]) -> "Usage":
        """What as_json made; TypeError for anything else."""
        return Usage(**values | {"failures": Counter(values["failures"])})


def sum_of(usages: Iterable[Usage]) -> Usage:
    """All of them together."""
    total = Usage()
    for usage in usages:
        total.add(usage)
    return total
