"""Runs a compiled workflow template without a cluster: each container's own command, unchanged, as Argo would.

A pod is a process tree of its own with a private view of the file system: its own /tmp, /mnt/out and working folder, a
read-only root, and neither this repository nor other pods' folders. The image is this process's Python environment
with the Dockerfile's variables. What of Argo is played: parameters, the DAG with fan-out and fail-fast, retries (their
waits are left out), secrets as variables, deadlines, and the exit handler. What a template asks beyond that fails here.
"""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lib.settings import ROOT

AT_ONCE = 2  # pods; the machine's cores, not the template's parallelism
LOOK_SECONDS = 0.05  # between looks at a running pod
_UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
_VIEW = """set -e
mount -t tmpfs pod /mnt
mkdir /mnt/pod /mnt/out /mnt/work /mnt/keep
mount --bind "$POD" /mnt/pod
mount --bind /mnt/pod/out /mnt/out
mount --bind /mnt/pod/work /mnt/work
number=0
for path in $KEEP; do mkdir /mnt/keep/$number; mount --bind "$path" /mnt/keep/$number; number=$((number + 1)); done
mount --bind / /
mount -o remount,bind,ro /
mount --bind /mnt/pod/tmp /tmp
if [ -d "$HIDDEN" ]; then mount -t tmpfs hidden "$HIDDEN"; fi
number=0
for path in $KEEP; do mkdir -p "$path"; mount --bind /mnt/keep/$number "$path"; number=$((number + 1)); done
cd /mnt/work
unset POD KEEP HIDDEN
exec "$@"
"""


@dataclass
class Pod:
    """One try of a container template."""

    template: str
    item: str | None  # of a fan-out
    attempt: int
    folder: Path
    began: float = field(default_factory=time.monotonic)
    code: int = 0  # of its exit; negative: the signal that ended it
    took: float = 0.0  # seconds

    @property
    def seconds(self) -> float:
        """For how long it has been running."""
        return time.monotonic() - self.began

    @property
    def printed(self) -> str:
        """All it has written."""
        return "".join((self.folder / name).read_text("utf-8", "replace") for name in ("stdout", "stderr"))


# Looks at a running pod again and again: "" lets it run, KILL ends it with all its processes, STOP the whole workflow.
Watch = Callable[[Pod], str]
KILL, STOP = "kill", "stop"


@dataclass(frozen=True)
class Cluster:
    """Where templates are run."""

    folder: Path
    secrets: Mapping[str, Mapping[str, str]]  # by name: their entries
    replaced: Mapping[str, str]  # in every command and variable: what this machine has otherwise than the template's

    def run(self, template: dict[str, Any], *, watch: Watch = lambda pod: "", **parameters: str) -> "Workflow":
        """Trigger a template and wait until its workflow has ended, however it did."""
        workflow = Workflow(self, template, parameters, watch)
        workflow.run()
        return workflow


class _Failed(Exception):
    """A node of the workflow has failed."""


class Workflow:
    """One run of a template."""

    def __init__(self, cluster: Cluster, template: dict[str, Any], parameters: Mapping[str, str], watch: Watch) -> None:
        spec = template["spec"]
        self.name = f"{template['metadata']['name'].replace('.', '-')}-{uuid.uuid4().hex[:5]}"
        self.status = "Running"
        self.pods: list[Pod] = []
        self._cluster, self._spec, self._watch = cluster, spec, watch
        self._templates = {part["name"]: part for part in spec["templates"]}
        self._failures: list[dict[str, str]] = []
        self._stopped = self._terminated = False
        self._room = threading.Semaphore(AT_ONCE)
        known = {given["name"]: given.get("value") for given in spec["arguments"]["parameters"]}
        assert set(parameters) <= set(known), parameters
        # Metaflow's trigger hands over JSON.
        self._parameters = known | {name: json.dumps(value) for name, value in parameters.items()}
        self._scope = {
            "workflow.name": self.name,
            "workflow.namespace": template["metadata"]["namespace"],
            "workflow.creationTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }

    def run(self) -> None:
        """Run the entry point, then the exit handler."""
        try:
            self._run(self._spec["entrypoint"], {})
            self.status = "Succeeded"
        except _Failed:
            self.status = "Failed"
        self._stopped = False  # exit handlers run after a stop, too
        # As Argo puts it into a string of JSON: a list that is written as JSON and then quoted.
        failures = json.dumps(json.dumps(self._failures))
        self._scope |= {"workflow.status": self.status, "workflow.failures": failures}
        if self._spec.get("onExit") and not self._terminated:
            with suppress(_Failed):
                self._run(self._spec["onExit"], {})

    def terminate(self) -> None:
        """End it from another thread, its pods at once and without its exit handler, if it has not ended."""
        self._terminated = self._stopped = True

    def pods_of(self, template: str) -> list[Pod]:
        """The tries of a template, in the order in which they began."""
        return [pod for pod in self.pods if pod.template == template]

    def log(self) -> str:
        """Each pod's last lines, for a message of a test that fails."""
        tails = ("\n".join(pod.printed.splitlines()[-12:]) for pod in self.pods)
        names = (f"--- {pod.template} {pod.item or ''} try {pod.attempt}: {pod.code}" for pod in self.pods)
        return "\n".join(line for pair in zip(names, tails, strict=True) for line in pair)

    def _run(self, name: str, inputs: Mapping[str, str], item: str | None = None) -> dict[str, str]:
        """Run a template of any kind; gives its outputs."""
        part = self._templates[name]
        scope = self._scope | {f"inputs.parameters.{key}": value for key, value in inputs.items()}
        if "container" in part:
            return self._tries(part, scope, item)
        outputs: dict[str, str] = {}
        for group in [part["dag"]["tasks"]] if "dag" in part else part["steps"]:
            outputs |= self._tasks(group, scope, item)
        wanted = (part.get("outputs") or {}).get("parameters") or []
        return {one["name"]: self._filled(one["valueFrom"]["parameter"], scope | outputs) for one in wanted}

    def _tasks(self, tasks: list[dict[str, Any]], scope: dict[str, str], item: str | None) -> dict[str, str]:
        """Run a DAG's tasks, or a group of steps, each when what it depends on has succeeded."""
        outputs: dict[str, str] = {}
        done: set[str] = set()
        left = list(tasks)
        while left:
            task = next(one for one in left if _needs(one) <= done)  # StopIteration: Argo would wait forever
            left.remove(task)
            here = scope | outputs
            if "when" in task:
                one, differs, other = self._filled(task["when"], here).split()
                assert differs == "!="
                if one == other:
                    continue
            if "withParam" in task:
                self._fan_out(task, here)
            else:
                made = self._run(task["template"], self._arguments(task, here), item)
                outputs |= {f"tasks.{task['name']}.outputs.parameters.{name}": value for name, value in made.items()}
            done.add(task["name"])
        return outputs

    def _fan_out(self, task: dict[str, Any], scope: dict[str, str]) -> None:
        items = [str(item) for item in json.loads(self._filled(task["withParam"], scope))]
        failed = threading.Event()

        def run(item: str) -> None:
            if failed.is_set():
                return  # fail-fast: those that run may end, no other begins
            try:
                self._run(task["template"], self._arguments(task, scope | {"item": item}), item)
            except _Failed:
                failed.set()

        with ThreadPoolExecutor(min(self._spec["parallelism"], AT_ONCE)) as pool:
            list(pool.map(run, items))
        if failed.is_set():
            raise _Failed

    def _arguments(self, task: dict[str, Any], scope: Mapping[str, str]) -> dict[str, str]:
        given = (task.get("arguments") or {}).get("parameters") or []
        return {one["name"]: self._filled(str(one["value"]), scope) for one in given}

    def _tries(self, part: dict[str, Any], scope: Mapping[str, str], item: str | None) -> dict[str, str]:
        """Run a container until it succeeds or all its retries have failed."""
        retries = int((part.get("retryStrategy") or {}).get("limit", 0))
        for attempt in range(retries + 1):
            place = self._cluster.folder / f"{self.name}-{part['name']}-{item or 0}-{attempt}"
            if self._stopped:
                break
            with self._room:
                pod = Pod(part["name"], item, attempt, place)
                self.pods.append(pod)
                self._start(pod, part, {**scope, "retries": str(attempt)})
            if pod.code == 0:
                wanted = (part.get("outputs") or {}).get("parameters") or []
                paths = {one["name"]: Path(one["valueFrom"]["path"]) for one in wanted}
                assert all(path.parent == Path("/mnt/out") for path in paths.values())
                return {name: (place / "out" / path.name).read_text("utf-8") for name, path in paths.items()}
            ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            said = f"Error (exit code {pod.code if pod.code > 0 else 128 - pod.code})"
            self._failures.append(
                {"displayName": place.name, "message": said, "templateName": part["name"], "finishedAt": ended}
            )
        raise _Failed

    def _start(self, pod: Pod, part: dict[str, Any], scope: Mapping[str, str]) -> None:
        for name in ("tmp", "out", "work"):
            (pod.folder / name).mkdir(parents=True)
        container = part["container"]
        environment = image_environment()
        for source in container.get("envFrom") or []:
            environment |= self._cluster.secrets[source["secretRef"]["name"]]
        for entry in container["env"]:
            value = entry.get("value")
            environment[entry["name"]] = "-" if value is None else self._filled(value, scope)
        command = [self._filled(word, scope) for word in container["command"]]
        with (pod.folder / "stdout").open("wb") as out, (pod.folder / "stderr").open("wb") as err:
            line, environment = in_private_view(pod.folder, command, environment)
            process = subprocess.Popen(line, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            deadline = part.get("activeDeadlineSeconds") or float("inf")
            while (code := process.poll()) is None:
                wish = self._watch(pod)
                self._stopped |= wish == STOP
                if pod.seconds > deadline or self._stopped or wish == KILL:
                    process.send_signal(signal.SIGKILL)  # and by --kill-child all of the pod's
                time.sleep(LOOK_SECONDS)
        pod.code, pod.took = code, pod.seconds

    def _filled(self, text: str, scope: Mapping[str, str]) -> str:
        """A text with Argo's {{...}} filled in; KeyError for what Argo would not know here."""

        def value(found: re.Match[str]) -> str:
            expression = found[1].strip()
            if encoded := re.fullmatch(r"=toBase64\(workflow\.parameters\['([^']+)'\]\)", expression):
                return base64.b64encode(self._parameters[encoded[1]].encode()).decode()
            return scope[expression]

        text = re.sub(r"\{\{(.+?)\}\}", value, text)
        for old, new in self._cluster.replaced.items():
            text = text.replace(old, new)
        return text


def _needs(task: Mapping[str, Any]) -> set[str]:
    wanted = [one.strip() for one in (task.get("depends") or "").split("&&") if one.strip()]
    assert all(one.endswith(".Succeeded") for one in wanted), wanted
    return {one.removesuffix(".Succeeded") for one in wanted}


def image_environment() -> dict[str, str]:
    """The variables that the Dockerfile sets, with this process's Python and the pod's own folder."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    (lines,) = re.findall(r"^ENV ((?:.*\\\n)*.*)", text, re.MULTILINE)
    variables = dict(word.split("=", 1) for word in lines.replace("\\\n", " ").split())
    return variables | {"PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": "/mnt/work"}


def in_private_view(
    folder: Path, command: list[str], environment: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """A command line and variables that run a command with its own view of the file system."""
    is_hidden = any(Path(sys.base_prefix).is_relative_to(place) for place in (ROOT, Path("/tmp")))
    kept = " ".join(dict.fromkeys([sys.prefix, *([sys.base_prefix] if is_hidden else [])]))
    told = {"POD": str(folder), "KEEP": kept, "HIDDEN": str(ROOT)}
    as_root = [] if os.getuid() == 0 else ["--map-root-user"]
    return [_UNSHARE[0], *as_root, *_UNSHARE[1:], "bash", "-c", _VIEW, "pod", *command], {**environment, **told}


@cache
def why_not(folder: Path) -> str:
    """Why this machine can run no pod in a private view; '' where it can. Writes below the folder."""
    for name in ("tmp", "out", "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    line, environment = in_private_view(folder, ["python", "-c", "import metaflow"], image_environment())
    try:
        done = subprocess.run(line, check=False, capture_output=True, text=True, env=environment)
    except OSError as error:
        return f"this machine has no unshare ({error.strerror})"
    said = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else f"this machine allows no private mounts: {(said or ['no reason'])[-1]}"
