"""A slow model behind HTTP: RemoteCategorizer takes the fast one's place, CascadeCategorizer asks it where that fails.

A text's answer is kept under the text alone, so by our doing company never changes it; whether the model is swayed by
the names beside it is its own affair. Its confidence is what it says of itself: uncalibrated.
"""

import csv
import hashlib
import json
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import numpy as np

from lib.categorizing import NONE, TOP, Categorizer, Described, Predictions
from lib.errors import ModelError
from lib.remote.answer_cache import Answer, AnswerFile
from lib.remote.asking import PROMPT_VERSION, AnswerReader, instructions, question, spelling
from lib.remote.endpoint import ChatEndpoint, Reply, Stopped
from lib.remote.usage import Failure, Usage
from lib.settings import ROOT, RemoteSettings

DEFINITIONS_FILE = ROOT / "config" / "categories.csv"
# So many whole calls in a row without a single answer, all tries used: the endpoint is down.
DEAD_CALLS = 5


@dataclass(frozen=True)
class _Call:
    texts: tuple[str, ...]
    tries: int  # left
    again: bool = False  # whether its texts have been asked before


class RemoteCategorizer:
    """A Categorizer that asks an endpoint, each distinct text once; its counts are in `usage`.

    A text that gets no answer in the tries allowed has no category (NONE) and confidence 0. ModelError when the share
    of those grows past `failures_at_most`, when the endpoint is down, or at once when it refuses us.
    """

    def __init__(self, settings: RemoteSettings, *, labels: Sequence[str], definitions: Mapping[str, str]) -> None:
        self.settings = settings
        self.name = settings.model
        self.labels = list(labels)
        self.parents: list[str] = []
        self.usage = Usage()
        self._instructions = instructions(self.labels, definitions)
        told = hashlib.sha256(self._instructions.encode()).hexdigest()
        asked = json.dumps([settings.model, PROMPT_VERSION, settings.request, told, self.labels], sort_keys=True)
        self.version = hashlib.sha256(asked.encode()).hexdigest()[:12]
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        self._reader = AnswerReader(self.labels)
        self._file = AnswerFile(settings.cache_path)
        self._file.introduce(self.version, model=settings.model, prompt=PROMPT_VERSION, labels=told)
        self._endpoint = ChatEndpoint(settings, self._file)
        self._in_a_row = 0  # texts that failed since the last answer
        self._detail = ""  # of the last failure, in words

    def categorize(self, products: Described) -> Predictions:
        """Each product's category with the confidence that the model gives it; it names no second and third one."""
        texts = products.as_texts()
        asked = [spelling(text) for text in texts]
        answers = self._answers(list(dict.fromkeys(filter(None, asked))))
        categories = np.full((len(texts), TOP), NONE, dtype=np.int32)
        confidences = np.zeros((len(texts), TOP))
        for row, text in enumerate(asked):
            if answer := answers.get(text):
                categories[row, 0] = self._numbers[answer.category]
                confidences[row, 0] = answer.confidence
        return Predictions(categories, confidences)

    def check(self) -> None:
        """Ask one name, so that a wrong key, model or address is met before the work; ModelError when it fails."""
        if self.categorize(Described(["milk"])).categories[0, 0] == NONE:
            raise ModelError(
                f"{self._account()}: a first question was in vain; correct [remote], or mend what it names"
            )

    def close(self) -> None:
        """Let go of the cache's file."""
        self._file.close()

    def _answers(self, texts: list[str]) -> dict[str, Answer]:
        """The answers to distinct texts, from the cache or the endpoint; texts that got none are left out."""
        answers = self._file.answers(self.version, texts)
        self.usage.texts += len(texts)
        self.usage.cache_hits += len(answers)
        left = [text for text in texts if text not in answers]
        size, tries = self.settings.texts_a_call, self.settings.tries
        waiting = deque(_Call(tuple(left[at : at + size]), tries) for at in range(0, len(left), size))
        under_way: dict[Future[Reply], _Call] = {}
        stop = Event()
        with ThreadPoolExecutor(self.settings.calls_at_once) as pool:
            try:
                while waiting or under_way:
                    while waiting and len(under_way) < self.settings.calls_at_once:
                        call = waiting.popleft()
                        under_way[pool.submit(self._ask, call, stop)] = call
                    for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                        found, more = self._taken_in(under_way.pop(done), done.result())
                        answers |= found
                        waiting.extendleft(reversed(more))
            except BaseException:
                stop.set()
                self._save(under_way)
                raise
        return answers

    def _save(self, under_way: Mapping[Future[Reply], _Call]) -> None:
        """Keep what calls bring that were under way when another failed; they are paid for."""
        for future, call in under_way.items():
            with suppress(Stopped, ModelError):
                self._read(call, future.result())

    def _ask(self, call: _Call, stop: Event) -> Reply:
        messages = [
            {"role": "system", "content": self._instructions},
            {"role": "user", "content": question(call.texts)},
        ]
        return self._endpoint.ask(messages, tries=call.tries, stop=stop)

    def _taken_in(self, call: _Call, reply: Reply) -> tuple[dict[str, Answer], list[_Call]]:
        """What a reply answers, kept; and the calls that ask again for what it does not."""
        found, failures = self._read(call, reply)
        if not failures:
            return found, []
        left = tuple(failures)
        refused = reply.failure is Failure.REFUSED
        # A refused request costs no try, as long as it can be halved to find the text that it is refused for.
        tries = call.tries if refused else call.tries - reply.tries
        if (refused and len(left) > 1) or (not refused and tries > 0):
            # An answer that breaks off for its length does so again, unless less is asked.
            middle = -(-len(left) // 2)
            return found, [_Call(part, tries, again=True) for part in (left[:middle], left[middle:]) if part]
        self.usage.failures.update(failure.value for failure in failures.values())
        self._in_a_row += len(left)
        self._detail = reply.detail
        self._check_budget()
        return found, []

    def _read(self, call: _Call, reply: Reply) -> tuple[dict[str, Answer], dict[str, Failure]]:
        """The answers in a reply, counted and kept, and why its other texts have none."""
        reply.usage.retries += call.again
        self.usage.add(reply.usage)
        if reply.failure:
            return {}, dict.fromkeys(call.texts, reply.failure)
        found, failures = self._reader.read(reply.content, call.texts)
        if found:
            found = self._file.keep(self.version, found)
            self.usage.answered += len(found)
            self._in_a_row = 0
        return found, failures

    def _check_budget(self) -> None:
        failed, asked = self.usage.failures.total(), self.usage.texts
        is_dead = self._in_a_row >= DEAD_CALLS * self.settings.texts_a_call
        if failed <= self.settings.failures_at_most * asked and not is_dead:
            return
        allowed = f"more than remote.failures_at_most = {self.settings.failures_at_most:g}"
        why = "it seems to be down" if is_dead else allowed
        kept = " (what was answered is kept)" if self.settings.cache else ""
        raise ModelError(f"{self._account()}, {why}; mend it and run the job again with its --job-id{kept}")

    def _account(self) -> str:
        """The texts without an answer, and why, in a line."""
        failed, asked = self.usage.failures.total(), self.usage.texts
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.usage.failures.most_common())
        last = f"; the last: {self._detail}" if self._detail else ""
        return f"{self._endpoint.url}: no answer to {failed} of {asked} names ({reasons}{last})"


class CascadeCategorizer:
    """A Categorizer that asks the slow one for what the fast one is less sure of than the threshold.

    Where the slow one has an answer it comes first, and the fast one's best others follow with their confidences, as
    far as the first leaves room for them; where it has none the fast one's stand. Both have the same labels.
    """

    def __init__(self, fast: Categorizer, slow: RemoteCategorizer, *, threshold: float) -> None:
        if fast.labels != slow.labels:
            raise ModelError(f"{fast.name} and {slow.name} have other labels, so one cannot stand in for the other")
        self.fast, self.slow, self.threshold = fast, slow, threshold
        self.name = f"{fast.name}, then {slow.name}"
        self.labels, self.parents = fast.labels, fast.parents
        both = json.dumps([fast.version, slow.version, threshold])
        self.version = hashlib.sha256(both.encode()).hexdigest()[:12]

    @property
    def usage(self) -> Usage:
        """The slow one's counts."""
        return self.slow.usage

    def categorize(self, products: Described) -> Predictions:
        """The TOP categories of each product; the confidences are of two kinds, see the class."""
        quick = self.fast.categorize(products)
        sure = quick.confidences[:, 0] >= self.threshold if quick.sure is None else quick.sure.copy()
        unsure = np.flatnonzero(~sure if quick.parent_sure is None else ~(sure | quick.parent_sure))
        slow = self.slow.categorize(products.at(unsure.tolist()))
        categories, confidences = quick.categories.copy(), quick.confidences.copy()
        for row, chosen, confidence in zip(unsure, slow.categories[:, 0], slow.confidences[:, 0], strict=True):
            if chosen == NONE:
                continue
            others = quick.categories[row] != chosen
            room = min(confidence, 1 - confidence)
            left = np.minimum(quick.confidences[row][others], room)[: TOP - 1]
            categories[row] = [chosen, *quick.categories[row][others][: TOP - 1]]
            confidences[row] = [confidence, *left.round(4)]
            sure[row] = confidence >= self.threshold
        return replace(quick, categories=categories, confidences=confidences, sure=sure)

    def check(self) -> None:
        """Ask the slow one a first name."""
        self.slow.check()


def read_definitions(describe: str, *, path: Path = DEFINITIONS_FILE) -> dict[str, str]:
    """What a prompt says of each category of config/categories.csv, by its id and by its name; {} without the file.

    `describe` is that of RemoteSettings. Of categories with the same name it is the deepest in the tree.
    """
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["level"])
    definitions: dict[str, str] = {}
    for row in rows:
        text = row["definition"] if describe != "names" else ""
        if describe == "all":
            text += f" Such as {row['examples']}." if row["examples"] else ""
            text += f" Not {row['not_it']}." if row["not_it"] else ""
        definitions |= {row["id"]: f"{row['name']}. {text}".strip(), row["name"]: text}
    return definitions
