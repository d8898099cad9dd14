"""Whether S3 and Metaflow's metadata service answer, found within seconds: Metaflow itself tries for minutes."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

SECONDS = 5
_CREDENTIALS = "log in, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def problems_of(asked: Mapping[str, Callable[[], str]]) -> Iterator[str]:
    """What is wrong with each thing, by its name, all asked at once; each question gives '' where nothing is.

    One that has no answer within SECONDS is left behind.
    """
    answers: dict[str, str] = {}

    def ask(name: str) -> None:
        answers[name] = asked[name]()

    threads = {name: threading.Thread(target=ask, args=(name,), daemon=True) for name in asked}
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(SECONDS)
        late = f"no answer within {SECONDS} seconds; check the address and the network"
        if problem := answers.get(name, late):
            yield f"{name}: {problem}"


def s3_problem(uri: str, *, endpoint: str, needs_content: bool = False) -> str:
    """What is wrong with a prefix on S3, '' for nothing; `endpoint` is the server's address, '' for Amazon's."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    limits = Config(connect_timeout=SECONDS - 2, read_timeout=SECONDS - 2, retries={"total_max_attempts": 1})
    try:
        session = boto3.Session()
        if session.get_credentials() is None:
            return f"no credentials found; {_CREDENTIALS}"
        client = session.client("s3", config=limits, **({"endpoint_url": endpoint} if endpoint else {}))
        found = client.list_objects_v2(Bucket=bucket, Prefix=prefix.rstrip("/") + "/" if prefix else "", MaxKeys=1)
    except (BotoCoreError, ClientError, ValueError) as error:
        return _s3_error(error, bucket=bucket, endpoint=endpoint)
    empty = needs_content and not found.get("KeyCount")
    return "there is no model; publish one with flows/train.py run --publish" if empty else ""


def _s3_error(error: Exception, *, bucket: str, endpoint: str) -> str:
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        code = error.response["Error"]["Code"]
        if code.isdigit():  # without a word of S3's own
            return f"what answers there is no S3 ({code}); check METAFLOW_S3_ENDPOINT_URL"
        advice = "create the bucket" if code == "NoSuchBucket" else "check the credentials and their rights"
        return f"S3 answered {code}; {advice}"
    if isinstance(error, exceptions.PartialCredentialsError | exceptions.ProfileNotFound):
        return f"{_line(error)}; {_CREDENTIALS}"
    if isinstance(error, exceptions.ParamValidationError):
        return f"{bucket!r} is no bucket's name; write s3://BUCKET/PREFIX"
    if endpoint:
        return f"{endpoint} (METAFLOW_S3_ENDPOINT_URL) cannot be reached; check the address and the network"
    return "Amazon S3 cannot be reached; check the network, or set METAFLOW_S3_ENDPOINT_URL to another S3 server"


def service_problem(url: str, *, headers: Mapping[str, str]) -> str:
    """What is wrong with Metaflow's metadata service at an address, '' for nothing."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        return "is no address; write http://HOST:PORT"
    asked = urllib.request.Request(f"{url.rstrip('/')}/ping", headers=dict(headers))
    try:
        with urllib.request.urlopen(asked, timeout=SECONDS - 2):
            return ""
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return f"it answered {error.code}; set METAFLOW_SERVICE_HEADERS with its key"
        return f"what answers there is no metadata service of Metaflow's ({error.code}); check the address"
    except (OSError, ValueError) as error:
        return f"cannot be reached ({_line(getattr(error, 'reason', error))}); check the address and the network"


def is_this_machine(host: str) -> bool:
    """Whether an address means whoever asks, so that in a pod it is another than here."""
    return host in ("", "localhost", "::1", "0.0.0.0") or host.startswith(("127.", "/"))


def _line(error: object) -> str:
    return " ".join(str(error).split())
