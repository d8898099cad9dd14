"""The start pod's own command, run as it is, with job ids that nobody should be able to send."""

import base64
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import S3Server
from tests.deploy.conftest import BUCKET, Deployment


def run_start(deployment: Deployment, s3: S3Server, folder: Path, job_id: str) -> subprocess.CompletedProcess[str]:
    """Run the start template's command in a folder, with the argument as Argo puts it in."""
    container = deployment.containers()["start"]
    given = base64.b64encode(job_id.encode()).decode()

    def filled(text: str) -> str:
        text = text.replace("{{=toBase64(workflow.parameters['job-id'])}}", given)
        text = text.replace("{{retries}}", "0").replace("{{workflow.name}}", f"start-{uuid.uuid4().hex[:8]}")
        # The metadata service is not there to be asked; what is tested comes before and after it.
        text = text.replace("--metadata=service", "--metadata=local")
        assert not re.search(r"\{\{(?!workflow\.creationTimestamp)", text)
        return text

    environment = {entry["name"]: filled(entry["value"]) for entry in container["env"] if entry["value"] is not None}
    environment |= {name: value for name, value in s3.environment.items() if name not in environment}
    environment |= {"HOME": str(folder), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment["METAFLOW_DEFAULT_METADATA"] = "local"
    command = [filled(word) for word in container["command"]]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=environment)


@pytest.mark.parametrize("job_id", ["$(touch x)", "'; touch x; '", ""])
def test_a_job_id_that_is_no_uuid_is_refused_before_anything_is_stored(
    deployment: Deployment, s3: S3Server, tmp_path: Path, job_id: str
) -> None:
    before = _objects(s3)
    done = run_start(deployment, s3, tmp_path, job_id)
    assert done.returncode != 0
    assert "not a UUID; trigger with the UUID" in done.stdout + done.stderr
    # What the shell ran, it ran in the pod's own folder, as the pod's own user.
    assert {path.parent for path in tmp_path.rglob("x")} <= {tmp_path / "metaflow"}
    stored = {key for key in _objects(s3) - before if not re.search(r"/start/t-\w+/0\.task_\w+\.log$", key)}
    assert stored == set()


def test_a_uuid_is_taken(deployment: Deployment, s3: S3Server, tmp_path: Path) -> None:
    done = run_start(deployment, s3, tmp_path, str(uuid.uuid4()))
    assert "not a UUID" not in done.stdout + done.stderr
    assert "Task is starting." in done.stdout


def _objects(s3: S3Server) -> set[str]:
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {found["Key"] for page in pages for found in page.get("Contents", [])}
