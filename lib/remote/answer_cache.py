"""What a slow model has answered, and when it may be asked next: one SQLite file for every process of a machine.

Each write is a transaction of its own in SQLite's default journal, which a killed process cannot leave half done and
which needs no second file that would have to be copied along.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from weakref import finalize

from lib.errors import ModelError

# The layout of the file, SQLite's user_version; another number is another layout.
FORMAT = 1
# How long to wait for another process's write before giving up.
LOCKED_SECONDS = 60
# Nobody waits longer for a turn; what is further off is of a clock that has been set back since.
MOST_SECONDS = 3600.0
_AT_ONCE = 500  # texts looked up by one statement; older SQLite takes 999 parameters

_SCHEMA = (
    "create table answers (version text, text text, category text not null, confidence real not null,"
    " primary key (version, text)) without rowid",
    "create table versions (version text primary key, model text not null, prompt integer not null,"
    " labels text not null) without rowid",
    "create table turns (endpoint text primary key, next_at real not null) without rowid",
    f"pragma user_version = {FORMAT}",
)


@dataclass(frozen=True)
class Answer:
    """The category that a model chose for a text, and how sure it says that it is."""

    category: str  # a label
    confidence: float  # 0 to 1, not calibrated


class AnswerFile:
    """The file of answers and turns; threads may share one, and processes may have one each. '' keeps it in memory.

    Raises ModelError, here and in every method, when the file cannot be used.
    """

    def __init__(self, path: str, *, clock: Callable[[], float] = time.time) -> None:
        self.path = str(Path(path).expanduser()) if path else ""
        self._clock = clock
        self._lock = Lock()
        with self._errors():
            if self.path:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path or ":memory:", timeout=LOCKED_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._close = finalize(self, self._connection.close)
            self._prepare()

    def close(self) -> None:
        self._close()

    def introduce(self, version: str, *, model: str, prompt: int, labels: str) -> None:
        """Note what a version stands for, for a person who looks into the file."""
        with self._writing() as connection:
            connection.execute("insert or ignore into versions values (?, ?, ?, ?)", (version, model, prompt, labels))

    def answers(self, version: str, texts: Iterable[str]) -> dict[str, Answer]:
        """The kept answers to those of the texts that have one."""
        found: dict[str, Answer] = {}
        left = iter(texts)
        while some := list(islice(left, _AT_ONCE)):
            marks = ", ".join("?" * len(some))
            statement = f"select text, category, confidence from answers where version = ? and text in ({marks})"
            with self._errors(), self._lock:
                rows = self._connection.execute(statement, (version, *some)).fetchall()
            found |= {text: Answer(category, confidence) for text, category, confidence in rows}
        return found

    def keep(self, version: str, answers: Mapping[str, Answer]) -> dict[str, Answer]:
        """Keep answers and return what is kept: where another process was faster its answer stays, for everybody."""
        rows = [(version, text, answer.category, answer.confidence) for text, answer in answers.items()]
        with self._writing() as connection:
            connection.executemany("insert or ignore into answers values (?, ?, ?, ?)", rows)
        return self.answers(version, answers)

    def take_turn(self, endpoint: str, *, apart: float) -> float:
        """Take the endpoint's next turn and return 0, or return the seconds to wait before trying again.

        Turns are `apart` seconds from each other, whichever threads and processes take them; with 0 they only wait for
        what the endpoint has asked for.
        """
        if not apart:
            with self._errors(), self._lock:
                return self._wait(endpoint, apart=apart)
        with self._writing() as connection:
            if wait := self._wait(endpoint, apart=apart):
                return wait
            connection.execute("insert or replace into turns values (?, ?)", (endpoint, self._clock() + apart))
        return 0.0

    def hold(self, endpoint: str, *, seconds: float) -> None:
        """Let nobody take a turn for so long, as the endpoint has asked for."""
        with self._writing() as connection:
            connection.execute(
                "insert into turns values (?, ?) on conflict do update set next_at = max(next_at, excluded.next_at)",
                (endpoint, self._clock() + min(seconds, MOST_SECONDS)),
            )

    def _wait(self, endpoint: str, *, apart: float) -> float:
        row = self._connection.execute("select next_at from turns where endpoint = ?", (endpoint,)).fetchone()
        wait = float(row[0]) - self._clock() if row else 0.0
        return wait if 0 < wait <= max(MOST_SECONDS, apart) else 0.0

    def _prepare(self) -> None:
        with self._writing() as connection:
            (found,) = connection.execute("pragma user_version").fetchone()
            if found not in (0, FORMAT):
                raise ModelError(
                    f"{self.path}: is of format {found}, this Shelfsort reads format {FORMAT}; "
                    "name another file in remote.cache"
                )
            if not found:
                for statement in _SCHEMA:
                    connection.execute(statement)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; it takes the lock at its begin, because one that reads first can be refused it later."""
        with self._errors(), self._lock:
            self._connection.execute("begin immediate")
            try:
                yield self._connection
                self._connection.execute("commit")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("rollback")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            what = getattr(error, "strerror", None) or error
            raise ModelError(
                f"{self.path or 'the answers'}: cannot be used as the cache of answers ({what}); "
                "name another file in remote.cache, or none"
            ) from error
