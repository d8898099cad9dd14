"""A slow model behind HTTP: what it is asked, the faults of real endpoints, its cache, and the fast one before it."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from lib.categorizing import NONE, Described
from lib.errors import ModelError, SettingsError
from lib.remote import categorizer as remote_categorizer
from lib.remote import endpoint as chat_endpoint
from lib.remote.answer_cache import Answer, AnswerFile
from lib.remote.asking import PROMPT_VERSION, AnswerReader, spelling
from lib.remote.categorizer import CascadeCategorizer, RemoteCategorizer, read_definitions
from lib.remote.usage import Failure, Usage, sum_of
from lib.settings import ROOT, RemoteSettings, parse, settings_of
from tests.fakes import LengthCategorizer
from tests.llm_server import (
    Fault,
    LlmServer,
    body,
    changed,
    content,
    cut_off,
    hang,
    reset,
    serving,
    status,
    trickle,
)

LABELS = ["Beverages", "Food", "Soap"]
KEY = "SHELFSORT_REMOTE_KEY"
SECRET = "sk-very-secret-0123456789"

Make = Callable[..., RemoteCategorizer]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_endpoint, "BACKOFF_SECONDS", 0.001)
    for name in (KEY, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with serving() as facts:
        yield facts


def remote_settings(**values: Any) -> RemoteSettings:
    text = "[remote]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
    return settings_of(parse(text)).remote


@pytest.fixture
def make(server: LlmServer) -> Iterator[Make]:
    made = []

    def made_one(*, labels: list[str] = LABELS, definitions: dict[str, str] | None = None, **values: Any) -> Any:
        given = {"endpoint": server.url, "model": "sorter-1", "cache": "", "failures_at_most": 1.0} | values
        one = RemoteCategorizer(remote_settings(**given), labels=labels, definitions=definitions or {})
        made.append(one)
        return one

    yield made_one
    for one in made:
        one.close()


def answered(categorizer: RemoteCategorizer, *texts: str) -> list[tuple[str | None, float]]:
    predictions = categorizer.categorize(Described(list(texts)))
    assert (predictions.categories[:, 1:] == NONE).all()
    assert not predictions.confidences[:, 1:].any()
    first = predictions.categories[:, 0]
    labels = [None if number == NONE else categorizer.labels[number] for number in first]
    return list(zip(labels, predictions.confidences[:, 0].tolist(), strict=True))


def judged(name: str) -> tuple[str, float]:
    """Drinks are told by a word, everything else is food; the longer, the surer."""
    return ("Beverages" if "juice" in name else "Food", min(len(name), 100) / 100)


def test_each_text_gets_the_category_and_confidence_that_the_model_gives_it(server: LlmServer, make: Make) -> None:
    server.judge = judged
    assert answered(make(), "orange juice", "ham") == [("Beverages", 0.12), ("Food", 0.03)]


def test_a_call_says_model_labels_definitions_and_names(server: LlmServer, make: Make) -> None:
    answered(make(definitions={"Food": "What is eaten."}), "ham", "Käse")
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.body["model"] == "sorter-1"
    assert request.body["temperature"] == 0
    assert request.body["response_format"] == {"type": "json_object"}
    system, user = request.body["messages"]
    assert system["content"].endswith("Categories:\n- Beverages\n- Food: What is eaten.\n- Soap")
    assert user["content"] == '[{"id": 1, "name": "ham"}, {"id": 2, "name": "käse"}]'


def test_a_key_of_the_request_can_be_taken_away_and_another_added(server: LlmServer) -> None:
    text = f"""[remote]\nendpoint = "{server.url}"\nmodel = "m"\ncache = ""
    request = {{ temperature = "", seed = 7 }}"""
    categorizer = RemoteCategorizer(settings_of(parse(text)).remote, labels=LABELS, definitions={})
    answered(categorizer, "ham")
    categorizer.close()
    sent = server.requests[0].body
    assert "temperature" not in sent
    assert (sent["seed"], sent["response_format"]) == (7, {"type": "json_object"})


def test_distinct_texts_are_asked_once_and_so_many_a_call(server: LlmServer, make: Make) -> None:
    categorizer = make(texts_a_call=2, calls_at_once=1)
    answers = answered(categorizer, "ham", "Ham ", "egg", "HAM", "tea", "", "  ")
    assert [len(request.names) for request in server.requests] == [2, 1]
    assert server.names == ["ham", "egg", "tea"]
    assert answers == [("Food", 0.9)] * 5 + [(None, 0.0)] * 2
    assert (categorizer.usage.texts, categorizer.usage.calls, categorizer.usage.answered) == (3, 2, 3)


def test_nothing_is_asked_for_no_texts(server: LlmServer, make: Make) -> None:
    assert make().categorize(Described([])).categories.shape == (0, 3)
    assert not server.requests


def test_calls_are_under_way_together_and_answers_still_find_their_texts(server: LlmServer, make: Make) -> None:
    server.judge = judged
    texts = [f"juice {'x' * (n % 40)}{n}" if n % 3 else f"bread {n}" for n in range(200)]
    assert answered(make(texts_a_call=3, calls_at_once=8), *texts) == [judged(text) for text in texts]
    assert len(server.requests) == 67


FAULTS: list[tuple[Fault, str]] = [
    (status(429, retry_after="0"), "too many requests, go on at once"),
    (status(429), "too many requests without a word on when"),
    (status(503, retry_after="soon"), "a Retry-After that is neither seconds nor a date"),
    (status(503, retry_after=formatdate(0, usegmt=True)), "a Retry-After that is a date, which is over"),
    (status(500), "a fault of the server's"),
    (status(503), "overloaded"),
    (status(529), "overloaded, in one provider's words"),
    (status(408), "the server waited too long for us"),
    (hang, "no answer in time"),
    (trickle, "an answer that never ends"),
    (reset, "the connection is reset"),
    (cut_off, "the connection ends within the body"),
    (body(""), "an empty body"),
    (body("<html>gateway</html>"), "a page in the answer's place"),
    (body("[]"), "JSON that is no object"),
    (body('{"error": {"message": "upstream"}}'), "an error under a status of success"),
    (body('{"choices": []}'), "no choice"),
    (body("[" * 100_000), "JSON nested without end"),
    (content(lambda answers: None), "a reply without content"),
    (content(lambda answers: ""), "an empty content"),
    (content(lambda answers: "I cannot help with that."), "prose alone"),
    (content(lambda answers: json.dumps({"answers": answers})[:-20]), "JSON that breaks off"),
    (content(lambda answers: '{"answers": ' * 50_000), "content nested without end"),
    (changed(lambda answers: answers[1:]), "the first item is missing"),
    (changed(lambda answers: ["x", None]), "answers that are no objects"),  # type: ignore[list-item]
    (changed(lambda answers: [answers[0] | {"category": "Foods"}, *answers[1:]]), "a label that does not exist"),
    (changed(lambda answers: [answers[0] | {"category": None}, *answers[1:]]), "no label"),
    (changed(lambda answers: [answers[0] | {"category": ["Food"]}, *answers[1:]]), "a list for a label"),
    (changed(lambda answers: [answers[0] | {"confidence": 1.01}, *answers[1:]]), "a confidence above 1"),
    (changed(lambda answers: [answers[0] | {"confidence": float("nan")}, *answers[1:]]), "a confidence of NaN"),
    (changed(lambda answers: [answers[0] | {"confidence": True}, *answers[1:]]), "a confidence of true"),
    (changed(lambda answers: [answers[0] | {"confidence": "sure"}, *answers[1:]]), "a confidence in words"),
    (changed(lambda answers: [{"id": 1, "category": "Food"}, *answers[1:]]), "no confidence"),
    (changed(lambda answers: [answers[0] | {"category": "Soap"}, *answers]), "an id with two different answers"),
]


@pytest.mark.parametrize(("fault", "what"), FAULTS, ids=[what for _, what in FAULTS])
def test_after_a_fault_the_texts_are_asked_again_and_answered(
    server: LlmServer, make: Make, fault: Fault, what: str
) -> None:
    server.judge = judged
    server.faults.append(fault)
    categorizer = make(timeout_seconds=0.3)
    texts = ["apple juice", "ham", "egg"]
    assert answered(categorizer, *texts) == [judged(text) for text in texts], what
    usage = categorizer.usage
    assert usage.calls == len(server.requests) > 1
    assert usage.retries == usage.calls - 1
    assert (usage.answered, usage.failures.total()) == (3, 0)


GOOD: list[tuple[Fault, str]] = [
    (
        content(lambda answers: f"Sure!\n```json\n{json.dumps({'answers': answers})}\n```\nAnything else?"),
        "prose around",
    ),
    (content(lambda answers: f"<think>a {{b}} {{</think>{json.dumps({'answers': answers})}"), "thoughts before"),
    (
        content(
            lambda answers: (
                '{"answers": [{"id": 1, "category": "Soap", "confidence": 1}]}' + json.dumps({"answers": answers})
            )
        ),
        "a draft before",
    ),
    (content(json.dumps), "a bare list"),
    (content(lambda answers: "\n".join(map(json.dumps, answers))), "an object a line"),
    (changed(reversed), "the wrong order"),
    (changed(lambda answers: [*answers, *answers]), "every answer twice"),
    (changed(lambda answers: [*answers, answers[0] | {"confidence": 1}]), "the same answer, surer"),
    (changed(lambda answers: [*answers, answers[0] | {"id": 99}]), "an id of nothing"),
    (changed(lambda answers: [one | {"id": str(one["id"])} for one in answers]), "ids as text"),
    (changed(lambda answers: [one | {"category": f" {one['category'].upper()} "} for one in answers]), "capitals"),
    (changed(lambda answers: [one | {"confidence": str(one["confidence"])} for one in answers]), "numbers as text"),
    (changed(lambda answers: [one | {"why": {"a": [1]}} for one in answers]), "more than was asked for"),
]


@pytest.mark.parametrize(("style", "what"), GOOD, ids=[what for _, what in GOOD])
def test_an_answer_in_another_style_counts_at_once(server: LlmServer, make: Make, style: Fault, what: str) -> None:
    server.judge = judged
    server.faults.append(style)
    categorizer = make()
    texts = ["apple juice", "ham", "egg"]
    assert answered(categorizer, *texts) == [judged(text) for text in texts], what
    assert categorizer.usage.calls == 1


def test_only_what_an_answer_lacks_is_asked_again(server: LlmServer, make: Make) -> None:
    server.faults.append(changed(lambda answers: [answers[0] | {"category": "Foods"}, *answers[1:3]]))
    answered(make(calls_at_once=1), "a1", "b2", "c3", "d4", "e5")
    assert [sorted(request.names) for request in server.requests[1:]] == [["a1", "d4"], ["e5"]]


def test_an_answer_that_is_too_long_to_be_whole_is_asked_for_in_halves(server: LlmServer, make: Make) -> None:
    texts = [f"text {number}" for number in range(8)]
    short = content(lambda answers: json.dumps({"answers": answers})[:125])  # two answers and a bit
    server.faults.extend([short, short])
    assert answered(make(calls_at_once=1), *texts) == [("Food", 0.9)] * 8
    assert [len(request.names) for request in server.requests] == [8, 3, 1, 3]


ENDLESS: list[tuple[Fault, Failure]] = [
    (status(429), Failure.BUSY),
    (status(500), Failure.SERVER_ERROR),
    (status(400), Failure.REFUSED),
    (status(422), Failure.REFUSED),
    (hang, Failure.TIMEOUT),
    (reset, Failure.CONNECTION),
    (content(lambda answers: "no"), Failure.UNREADABLE),
    (body("{}"), Failure.UNREADABLE),
    (changed(lambda answers: [{"id": 9, "category": "Food", "confidence": 1}]), Failure.MISSING),
    (changed(lambda answers: [one | {"category": "?"} for one in answers]), Failure.NO_SUCH_CATEGORY),
    (changed(lambda answers: [one | {"confidence": -1} for one in answers]), Failure.NO_CONFIDENCE),
    (changed(lambda answers: [*answers, answers[0] | {"category": "Soap"}]), Failure.CONTRADICTION),
]


@pytest.mark.parametrize(("fault", "reason"), ENDLESS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_text_without_an_answer_has_no_category_and_its_reason_is_counted(
    server: LlmServer, make: Make, fault: Fault, reason: Failure
) -> None:
    server.always = fault
    categorizer = make(tries=2, timeout_seconds=0.1)
    assert answered(categorizer, "ham") == [(None, 0.0)]
    assert categorizer.usage.failures == {reason: 1}
    assert len(server.requests) == (1 if reason is Failure.REFUSED else 2)


def test_one_text_that_a_filter_refuses_does_not_take_the_others_along(server: LlmServer, make: Make) -> None:
    def filtering(handler: Any, answers: list[dict[str, Any]]) -> None:
        if "shot" in handler.facts.requests[-1].names:
            status(400, "content filter")(handler, answers)
        else:
            handler.say(json.dumps({"answers": answers}))

    server.always = filtering
    texts = [f"text {number}" for number in range(20)]
    categorizer = make(tries=1, calls_at_once=1)
    assert answered(categorizer, *texts, "shot") == [("Food", 0.9)] * 20 + [(None, 0.0)]
    assert categorizer.usage.failures == {Failure.REFUSED: 1}


def refused(categorizer: RemoteCategorizer, *texts: str) -> str:
    with pytest.raises(ModelError) as error:
        categorizer.categorize(Described(list(texts)))
    return str(error.value)


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_key_is_one_line_that_names_its_variable_and_not_the_key(
    server: LlmServer, make: Make, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    server.always = status(code, f"Incorrect API key provided: {SECRET[:7]}***")
    assert refused(make(), "ham") == (
        f"{server.url}/chat/completions: wants a key (HTTP {code}); "
        f"put one into the environment variable {KEY}, which is not set"
    )
    monkeypatch.setenv(KEY, SECRET)
    line = refused(make(), "ham")
    assert line.endswith(f"refuses the key (HTTP {code}); put one that is accepted into the environment variable {KEY}")
    assert SECRET[:7] not in line
    assert "name the environment variable that holds one in remote.key_variable" in refused(
        make(key_variable=""), "ham"
    )
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (status(404, "no model of that name"), "no such address or model 'sorter-1' (HTTP 404: no model of that name)"),
        (status(301, location="http://127.0.0.1:9/v1"), "no such address or model 'sorter-1' (HTTP 301: no reason)"),
        (status(402, "pay first"), "the account has no credit left (HTTP 402: pay first); pay, and run the job again"),
        (status(405), "does not take our request (HTTP 405: no reason); correct [remote]"),
        (status(503, retry_after="86400"), "asks to be left alone for 86,400 s; run the job again then"),
        (
            lambda handler, answers: handler.send(
                429, '{"error": {"code": "insufficient_quota", "message": "used up"}}'
            ),
            "the account has no credit left (HTTP 429: used up)",
        ),
    ],
)
def test_what_no_other_try_can_mend_ends_at_once(server: LlmServer, make: Make, fault: Fault, message: str) -> None:
    server.always = fault
    assert message in refused(make(calls_at_once=1, texts_a_call=1), "ham", "egg", "tea")
    assert len(server.requests) == 1


def test_the_key_goes_into_the_header_and_nowhere_else(
    server: LlmServer, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv(KEY, f" {SECRET}\n")
    cache = tmp_path / "answers.db"
    categorizer = make(cache=str(cache), tries=1)
    answered(categorizer, "ham")
    server.always = status(400, f"what is {SECRET}")
    answered(categorizer, "egg")
    assert [request.headers["Authorization"] for request in server.requests] == [f"Bearer {SECRET}"] * 2
    assert SECRET not in json.dumps([request.body for request in server.requests])
    assert SECRET.encode() not in cache.read_bytes()
    assert SECRET not in caplog.text + str(categorizer.settings) + json.dumps(categorizer.usage.as_json())
    with pytest.raises(ModelError, match=r"HTTP 400: what is \*\*\*"):
        categorizer.check()


def test_a_key_with_letters_that_no_header_holds_is_refused_without_showing_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "geheim\nschlüssel")
    with pytest.raises(ModelError, match=f"the environment variable {KEY} holds no key") as error:
        make()
    assert "geheim" not in str(error.value)


def test_too_many_texts_without_an_answer_end_the_run_with_their_reasons(server: LlmServer, make: Make) -> None:
    server.judge = lambda name: ("Food" if name < "text 17" else "?", 0.9)
    texts = [f"text {number}" for number in range(10, 20)]
    line = refused(make(failures_at_most=0.2, tries=1), *texts)
    assert line == (
        f"{server.url}/chat/completions: no answer to 3 of 10 names (3 no-such-category), more than "
        "remote.failures_at_most = 0.2; mend it and run the job again with its --job-id"
    )
    assert answered(make(failures_at_most=0.3, tries=1), *texts)[6:8] == [("Food", 0.9), (None, 0.0)]


def test_answers_that_were_under_way_when_another_call_failed_are_kept(
    server: LlmServer, make: Make, tmp_path: Path
) -> None:
    server.judge = lambda name: ("Food", 0.9)
    server.seconds = 0.2
    server.faults.append(status(401))
    cache = str(tmp_path / "answers.db")
    refused(make(cache=cache, texts_a_call=1, calls_at_once=3), "ham", "egg", "tea")
    asked = set(server.names)
    answered(make(cache=cache), "ham", "egg", "tea")
    assert len(asked) >= 2  # the first refusal may come before the third call is sent
    assert len(server.requests[-1].names) == 1 + 3 - len(asked)


def test_an_endpoint_that_is_down_is_given_up_long_before_every_text_was_tried(server: LlmServer, make: Make) -> None:
    server.always = status(503)
    line = refused(make(tries=2, texts_a_call=10, calls_at_once=2), *(f"text {number}" for number in range(10_000)))
    assert (
        "no answer to 50 of 10000 names (50 server-error; the last: HTTP 503: no reason), it seems to be down" in line
    )
    assert len(server.requests) <= 14


def test_an_endpoint_that_fails_now_and_then_is_not_given_up(server: LlmServer, make: Make) -> None:
    for _ in range(8):
        server.faults.extend([status(400), changed(lambda answers: answers)])
    categorizer = make(texts_a_call=1, calls_at_once=1, tries=1)
    answers = answered(categorizer, *(f"text {number}" for number in range(16)))
    assert answers == [(None, 0.0), ("Food", 0.9)] * 8


def test_an_endpoint_that_is_not_there_is_one_line(make: Make) -> None:
    with serving() as gone:
        url = gone.url
    with pytest.raises(ModelError, match=r"no answer to 1 of 1 names \(1 connection; the last: .*refused"):
        make(endpoint=url, tries=2).check()


def test_a_first_question_passes_only_with_an_answer(server: LlmServer, make: Make) -> None:
    make().check()
    server.always = content(lambda answers: "Hello!")
    with pytest.raises(ModelError, match=r"no answer to 1 of 1 names \(1 unreadable\): a first question was in vain"):
        make().check()


def test_calls_and_tokens_and_cost_are_counted(server: LlmServer, make: Make) -> None:
    server.faults.append(status(500))
    categorizer = make(texts_a_call=2, calls_at_once=1, price_in=3.0, price_out=15.0)
    answered(categorizer, "ham", "egg", "tea")
    answered(categorizer, "ham", "oil")
    counts = categorizer.usage.as_json()
    assert counts.pop("seconds_waited") >= 0
    assert counts == {
        "texts": 5,
        "cache_hits": 1,
        "answered": 4,
        "failures": {},
        "calls": 4,
        "retries": 1,
        "prompt_tokens": 300,
        "completion_tokens": 30,
        "cost": 0.00135,
    }


def test_usages_add_up_and_come_back_from_json() -> None:
    one = Usage(texts=3, calls=2, cost=0.1)
    one.failures.update({"busy": 2, "timeout": 3})
    total = sum_of([Usage.of_json(one.as_json()), one, Usage()])
    assert (total.texts, total.calls, round(total.cost, 6)) == (6, 4, 0.2)
    assert total.as_json()["failures"] == {"timeout": 6, "busy": 4}
    assert one.failures == {"busy": 2, "timeout": 3}


def test_kept_answers_are_not_asked_again_whatever_their_case(server: LlmServer, make: Make, tmp_path: Path) -> None:
    cache = str(tmp_path / "deep" / "answers.db")
    server.judge = judged
    first = answered(make(cache=cache), "Apple Juice", "ham")
    second = make(cache=cache)
    assert answered(second, "ham", " APPLE  juice") == first[::-1]
    assert len(server.requests) == 1
    assert (second.usage.cache_hits, second.usage.calls) == (2, 0)


def test_a_failure_is_not_kept(server: LlmServer, make: Make, tmp_path: Path) -> None:
    cache = str(tmp_path / "answers.db")
    server.faults.append(status(400))
    assert answered(make(cache=cache), "ham") == [(None, 0.0)]
    assert answered(make(cache=cache), "ham") == [("Food", 0.9)]


def test_answers_are_kept_by_model_labels_definitions_and_request(
    server: LlmServer, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = str(tmp_path / "answers.db")
    kinds: list[dict[str, Any]] = [
        {},
        {"model": "sorter-2"},
        {"labels": ["Food", "Tools"]},
        {"labels": ["Soap", "Food", "Beverages"]},
        {"definitions": {"Food": "What is eaten."}},
    ]
    versions = set()
    for kind in kinds:
        categorizer = make(cache=cache, **kind)
        answered(categorizer, "ham")
        versions.add(categorizer.version)
    monkeypatch.setattr("lib.remote.categorizer.PROMPT_VERSION", PROMPT_VERSION + 1)
    categorizer = make(cache=cache)
    answered(categorizer, "ham")
    versions.add(categorizer.version)
    assert len(versions) == len(server.requests) == len(kinds) + 1
    seeded = categorizer.settings.model_copy(update={"request": {"seed": 1}})
    assert RemoteCategorizer(seeded, labels=LABELS, definitions={}).version not in versions
    assert make(cache=cache, texts_a_call=3, tries=2, timeout_seconds=5, price_in=1.0).version in versions


def test_a_cache_that_cannot_be_used_is_one_line(make: Make, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(ModelError, match=r"other\.db: cannot be used as the cache of answers \(file is not a database"):
        make(cache=str(other))
    with pytest.raises(ModelError, match=r"deep: cannot be used as the cache"):
        make(cache=str(other / "deep"))
    newer = tmp_path / "newer.db"
    connection = sqlite3.connect(newer)
    connection.execute("pragma user_version = 2")
    connection.close()
    with pytest.raises(ModelError, match=r"newer\.db: is of format 2, this Shelfsort reads format 1"):
        make(cache=str(newer))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_retry_after_and_the_calls_a_minute_are_waited_for(
    server: LlmServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    def waited(seconds: float, stop: Event) -> float:
        clock.now += seconds
        return seconds

    monkeypatch.setattr(chat_endpoint, "_waited", waited)
    monkeypatch.setattr(remote_categorizer, "AnswerFile", lambda path: AnswerFile(path, clock=clock))
    server.faults.append(status(429, retry_after="30"))
    categorizer = make(texts_a_call=1, calls_at_once=1, calls_a_minute=10)
    started = clock.now
    answered(categorizer, *(f"text {number}" for number in range(5)))
    assert clock.now - started == pytest.approx(30 + 4 * 6)
    assert categorizer.usage.seconds_waited == pytest.approx(30 + 4 * 6)


def test_a_text_has_one_spelling() -> None:
    assert spelling("  Crème\u00a0BRÛLÉE\n") == spelling("cre\u0300me bru\u0302le\u0301e") == "crème brûlée"
    assert len(spelling("word " * 1000)) <= 300


def test_labels_that_differ_in_case_alone_are_told_apart() -> None:
    reader = AnswerReader(["Food", "FOOD", "Soap"])
    told = (
        '{"answers": [{"id": 1, "category": "FOOD", "confidence": 1}, {"id": 2, "category": "food", "confidence": 1}]}'
    )
    assert reader.read(told, ["a", "b"]) == ({"a": Answer("FOOD", 1.0)}, {"b": Failure.NO_SUCH_CATEGORY})


class Cascade:
    """The length categorizer (confidence: length / 20) before a server that knows better."""

    def __init__(self, server: LlmServer, make: Make, **values: Any) -> None:
        self.fast = LengthCategorizer()
        self.slow = make(labels=self.fast.labels, **values)
        self.both = CascadeCategorizer(self.fast, self.slow, threshold=0.5)


def test_the_slow_one_is_asked_only_for_what_the_fast_one_is_unsure_of(server: LlmServer, make: Make) -> None:
    server.judge = lambda name: ("7 letters", 0.8)
    cascade = Cascade(server, make)
    texts = ["ham", "a name of some length", "egg", "ham"]
    found, quick = cascade.both.categorize(Described(texts)), cascade.fast.categorize(Described(texts))
    assert server.names == ["ham", "egg"]
    assert found.categories.tolist() == [[7, 3, 4], quick.categories[1].tolist(), [7, 3, 4], [7, 3, 4]]
    assert found.confidences[0].tolist() == [0.8, 0.15, 0.075]
    assert found.confidences[1].tolist() == quick.confidences[1].tolist()
    assert cascade.both.usage is cascade.slow.usage


def test_the_slow_ones_category_stands_once_where_the_fast_one_had_it_too(server: LlmServer, make: Make) -> None:
    server.judge = lambda name: ("4 letters", 0.95)
    found = Cascade(server, make).both.categorize(Described(["ham"]))
    assert found.categories.tolist() == [[4, 3, 5]]
    assert found.confidences.tolist() == [[0.95, 0.05, 0.05]]


def test_where_the_slow_one_has_no_answer_the_fast_ones_stands_and_goes_to_review(
    server: LlmServer, make: Make
) -> None:
    server.always = status(400)
    cascade = Cascade(server, make)
    found, quick = cascade.both.categorize(Described(["ham"])), cascade.fast.categorize(Described(["ham"]))
    assert found.categories.tolist() == quick.categories.tolist()
    assert found.confidences[0, 0] == quick.confidences[0, 0] < 0.5
    assert cascade.both.usage.failures == {Failure.REFUSED: 1}


def test_a_cascades_version_is_of_both_and_the_threshold(server: LlmServer, make: Make) -> None:
    fast = LengthCategorizer()
    slow, other = make(labels=fast.labels), make(labels=fast.labels, model="sorter-2")
    versions = {
        fast.version,
        slow.version,
        CascadeCategorizer(fast, slow, threshold=0.5).version,
        CascadeCategorizer(fast, slow, threshold=0.6).version,
        CascadeCategorizer(fast, other, threshold=0.5).version,
    }
    assert len(versions) == 5
    with pytest.raises(ModelError, match="have other labels"):
        CascadeCategorizer(fast, make(), threshold=0.5)


def test_definitions_are_found_by_id_and_by_name(tmp_path: Path) -> None:
    table = tmp_path / "categories.csv"
    table.write_text(
        "id,parent,level,name,definition,examples,not_it\n"
        'beef,meat,3,Beef,"Meat of cattle, fresh.",ribeye; mince; brisket,veal\n'
        "misc,,1,Others,What is left.,,\n"
    )
    assert read_definitions("all", path=table) == {
        "beef": "Beef. Meat of cattle, fresh. Such as ribeye; mince; brisket. Not veal.",
        "Beef": "Meat of cattle, fresh. Such as ribeye; mince; brisket. Not veal.",
        "misc": "Others. What is left.",
        "Others": "What is left.",
    }
    assert read_definitions("definitions", path=table)["beef"] == "Beef. Meat of cattle, fresh."
    assert read_definitions("names", path=table) == {"beef": "Beef.", "Beef": "", "misc": "Others.", "Others": ""}
    assert read_definitions("all", path=tmp_path / "none.csv") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('endpoint = "ftp://host/v1"', "remote: endpoint must be an address such as https://HOST/v1"),
        ('endpoint = "http://host/v1"', "remote: model must name the endpoint's model"),
        ('endpoint = "http://u:sk-1@host/v1"\nmodel = "m"', "remote: endpoint must hold no password and no query"),
        ('endpoint = "http://host/v1?key=sk-1"\nmodel = "m"', "remote: endpoint must hold no password and no query"),
        ('key_variable = "sk-1"', "remote: key_variable must be the name of an environment variable"),
        ('cache = "s3://bucket/answers.db"', "remote: cache must be a file of this machine, or empty"),
        ("tries = 0", "remote.tries: Input should be greater than or equal to 1 (it is 0)"),
        ("failures_at_most = 2", "remote.failures_at_most: Input should be less than or equal to 1 (it is 2)"),
    ],
)
def test_a_mistake_in_the_settings_is_one_line_without_a_secret(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        parse(f"[remote]\n{text}")
    assert str(refusal.value).startswith(message)
    assert not re.search("sk-1", str(refusal.value))


def test_nothing_is_asked_by_default() -> None:
    remote = settings_of(parse("")).remote
    assert remote.endpoint == ""
    assert Path(remote.cache_path).is_absolute()
    assert remote_settings(cache="kept/answers.db").cache_path == str(ROOT / "kept" / "answers.db")
