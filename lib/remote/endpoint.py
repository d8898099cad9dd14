"""One call to an endpoint that speaks OpenAI's chat completions: its turn, its time, its tries and its refusals.

HTTP is urllib3's, which boto3 brings along. The tries are counted here and not there, because each of them takes a turn
of its own, and a wait that the endpoint asks for is everybody's.
"""

import json
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError, InvalidHeader, NewConnectionError
from urllib3.exceptions import TimeoutError as Urllib3Timeout

from lib.errors import ModelError
from lib.remote.answer_cache import AnswerFile
from lib.remote.usage import Failure, Usage
from lib.settings import RemoteSettings

# Between tries: so much, doubled each time and at most so much, of which a random half is taken off.
BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 1.0, 60.0
# An endpoint that asks for a longer wait is out of use for this run.
MOST_HOLD_SECONDS = 600.0
# A longer body is no answer.
BODY_BYTES = 10_000_000
_MESSAGE_LENGTH = 200  # of the endpoint's own words in an error
_PASSING = (408, 409, 425)  # refusals that another try may not meet, beside 429 and 500 and above
_BAD_REQUEST = (400, 413, 422)  # may be due to one text


class Stopped(Exception):
    """Another thread has met an error; nobody waits for this call any more."""


@dataclass(frozen=True)
class Reply:
    """What a call came to after all its tries."""

    content: str  # '' when there is a failure
    failure: Failure | None
    detail: str  # the failure in words
    tries: int  # taken
    usage: Usage = field(default_factory=Usage)


class ChatEndpoint:
    """An endpoint with its key; threads may share it."""

    def __init__(self, settings: RemoteSettings, file: AnswerFile) -> None:
        base = settings.endpoint.rstrip("/")
        self.url = base if base.endswith("/chat/completions") else f"{base}/chat/completions"
        self._settings = settings
        self._file = file
        self._key = _key(settings.key_variable)
        self._apart = 60 / settings.calls_a_minute if settings.calls_a_minute else 0.0
        self._pool = _pool(self.url, connections=settings.calls_at_once)

    def ask(self, messages: list[dict[str, str]], *, tries: int, stop: Event) -> Reply:
        """The model's reply; a failure once the tries are used up, or at once when the request is a bad one.

        Raises ModelError where another try is of no use for any text: a key refused, no such model, no credit.
        Raises Stopped when `stop` is set while it waits.
        """
        extra = {name: value for name, value in self._settings.request.items() if value != ""}
        body = json.dumps({"model": self._settings.model, "messages": messages, **extra}).encode()
        usage = Usage()
        failure, detail = Failure.CONNECTION, ""
        for tried in range(1, tries + 1):
            usage.seconds_waited += self._await_turn(stop)
            usage.calls += 1
            usage.retries += tried > 1
            try:
                status, headers, answer = self._post(body)
            except (HTTPError, OSError) as error:
                failure, detail = self._trouble(error)
            else:
                if status == 200 and (reply := self._reply(answer, tries=tried, usage=usage)):
                    return reply
                failure, detail = self._refusal(status, answer)
                if failure is Failure.REFUSED:
                    return Reply("", failure, detail, tried, usage)
                self._hold(headers.get("Retry-After"))
            if tried < tries:
                usage.seconds_waited += _waited(_backoff(tried), stop)
        return Reply("", failure, detail, tries, usage)

    def _await_turn(self, stop: Event) -> float:
        waited = 0.0
        while seconds := self._file.take_turn(self.url, apart=self._apart):
            waited += _waited(seconds, stop)
        return waited

    def _hold(self, retry_after: str | None) -> None:
        if not retry_after:
            return
        try:
            seconds = urllib3.Retry(retry_after_max=10**9).parse_retry_after(retry_after)
        except InvalidHeader:
            return
        if seconds > MOST_HOLD_SECONDS:
            raise ModelError(
                f"{self.url}: asks to be left alone for {seconds:,.0f} s; run the job again then, with its --job-id"
            )
        self._file.hold(self.url, seconds=seconds)

    def _post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of one request; TimeoutError when the whole of it takes too long."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "shelfsort"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        seconds = self._settings.timeout_seconds
        until = time.monotonic() + seconds
        response = self._pool.request(
            "POST", self.url, body=body, headers=headers, retries=False, timeout=seconds, preload_content=False
        )
        # The timeout above is for each piece, and a server that sends byte after byte never meets it.
        pieces, length = [], 0
        try:
            while piece := response.read1(65536):
                pieces.append(piece)
                length += len(piece)
                if time.monotonic() > until:
                    raise TimeoutError
                if length > BODY_BYTES:
                    raise OSError(f"the answer is longer than {BODY_BYTES:,} bytes")
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return response.status, response.headers, b"".join(pieces)

    def _reply(self, body: bytes, *, tries: int, usage: Usage) -> Reply | None:
        """What the model says, its tokens counted; None when the body is no chat completion."""
        try:
            answer = json.loads(body)
            content = answer["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return None
        counts = answer.get("usage")
        counts = counts if isinstance(counts, dict) else {}
        usage.prompt_tokens = _count(counts.get("prompt_tokens"))
        usage.completion_tokens = _count(counts.get("completion_tokens"))
        prices = usage.prompt_tokens * self._settings.price_in + usage.completion_tokens * self._settings.price_out
        usage.cost = prices / 1e6
        if not isinstance(content, str):
            return Reply("", Failure.UNREADABLE, "a reply without content", tries, usage)
        return Reply(content, None, "", tries, usage)

    def _refusal(self, status: int, body: bytes) -> tuple[Failure, str]:
        """What a status other than 200 means; ModelError where it means the same for every call."""
        variable = self._settings.key_variable
        detail = f"HTTP {status}: {self._words(body)}"
        if status in (401, 403):
            # Without the endpoint's words, which may hold a part of the key.
            if not variable:
                advice = "name the environment variable that holds one in remote.key_variable"
            elif self._key:
                advice = f"put one that is accepted into the environment variable {variable}"
            else:
                advice = f"put one into the environment variable {variable}, which is not set"
            raise ModelError(f"{self.url}: {'refuses the' if self._key else 'wants a'} key (HTTP {status}); {advice}")
        if status == 402 or (status == 429 and b"insufficient_quota" in body):
            raise ModelError(f"{self.url}: the account has no credit left ({detail}); pay, and run the job again")
        if status == 404 or 300 <= status < 400:
            model = self._settings.model
            raise ModelError(f"{self.url}: no such address or model {model!r} ({detail}); correct [remote]")
        if status == 200:
            return Failure.UNREADABLE, f"no chat completion: {self._words(body)}"
        if status == 429:
            return Failure.BUSY, detail
        if status >= 500 or status in _PASSING:
            return Failure.SERVER_ERROR, detail
        if status in _BAD_REQUEST:
            return Failure.REFUSED, detail
        raise ModelError(f"{self.url}: does not take our request ({detail}); correct [remote]")

    def _trouble(self, error: Exception) -> tuple[Failure, str]:
        """What an error on the way means; ModelError for a certificate, which no other try makes trustworthy."""
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise ModelError(
                f"{self.url}: its certificate is not trusted; correct remote.endpoint, or name your own authority's "
                "certificates in the environment variable SSL_CERT_FILE"
            ) from error
        # A refused connection is a timeout to urllib3, for history's sake.
        if isinstance(error, Urllib3Timeout | TimeoutError) and not isinstance(error, NewConnectionError):
            return Failure.TIMEOUT, f"no answer within {self._settings.timeout_seconds:g} s"
        return Failure.CONNECTION, self._safe(str(error).rpartition(": ")[2] or type(error).__name__)

    def _words(self, body: bytes) -> str:
        """The endpoint's own words about an error, short and without the key."""
        text = body[:BODY_BYTES].decode("utf-8", "replace")
        try:
            found = json.loads(text)
            found = found.get("error", found) if isinstance(found, dict) else found
            text = str(found.get("message", found) if isinstance(found, dict) else found)
        except (ValueError, RecursionError):
            pass
        return self._safe(text)

    def _safe(self, text: str) -> str:
        text = text.replace(self._key, "***") if self._key else text
        return " ".join(text.split())[:_MESSAGE_LENGTH] or "no reason given"


def _key(variable: str) -> str:
    key = os.environ.get(variable, "").strip() if variable else ""
    if not (key.isascii() and key.isprintable()):
        raise ModelError(
            f"the environment variable {variable} holds no key: it has letters that no key has; set it again"
        )
    return key


def _pool(url: str, *, connections: int) -> urllib3.PoolManager:
    """Connections to the endpoint, through the proxy that the environment names for it, if any."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.hostname or ""):
        return urllib3.PoolManager(maxsize=connections)
    auth = urlsplit(proxy)
    basic = f"{auth.username}:{auth.password or ''}" if auth.username else None
    headers = urllib3.make_headers(proxy_basic_auth=basic)
    return urllib3.ProxyManager(proxy, maxsize=connections, proxy_headers=headers)


def _backoff(tried: int) -> float:
    return min(BACKOFF_SECONDS * 2.0 ** (tried - 1), MOST_BACKOFF_SECONDS) * random.uniform(0.5, 1)


def _waited(seconds: float, stop: Event) -> float:
    if stop.wait(seconds):
        raise Stopped
    return seconds


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
