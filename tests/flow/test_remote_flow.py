"""The main job with a slow model behind the fast one: parallel batches share its answers, and nothing tells its key."""

import os
from pathlib import Path

import pytest

from tests.flow.running import SAMPLE, command, run
from tests.llm_server import serving, status

SECRET = "sk-very-secret-0123456789"
JUDGED = "soft-drinks"  # a label of the shipped model


def test_parallel_batches_ask_and_a_second_job_finds_every_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFSORT_REMOTE_KEY", SECRET)
    with serving() as server:
        server.judge = lambda name: (JUDGED, 0.99 if len(name) % 2 else 0.5)
        config = f"""[batches]\ncount = 3\n[remote]\nendpoint = "{server.url}"\nmodel = "sorter-1"
        cache = "{tmp_path}/answers.db"\nprice_out = 100.0"""
        first = run(tmp_path, SAMPLE, config=config)
        asked = list(server.names)
        second = run(tmp_path, SAMPLE, config=config)
        assert server.names == asked
    remote = first.report["remote"]
    assert remote["calls"] == len(server.requests) > 3
    assert remote["answered"] == len(asked)
    assert remote["failures"] == {}
    assert remote["cost"] == pytest.approx(remote["calls"] * 10 * 100 / 1e6)
    assert f"sorter-1: {remote['texts']:,} names asked for" in first.printed
    assert (second.report["remote"]["calls"], second.report["remote"]["cache_hits"]) == (0, remote["texts"])
    for name in ("categorized.csv", "review.csv"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    # Of what the fast one would send to review the slow one is sure of a half.
    assert 0 < first.report["review"] < remote["texts"]
    assert {request.headers["Authorization"] for request in server.requests} == {f"Bearer {SECRET}"}
    files = [Path(folder) / name for folder, _, names in os.walk(tmp_path) for name in names]
    assert len(files) > 20
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]


def test_a_refused_key_is_one_line_and_nothing_is_left(tmp_path: Path) -> None:
    with serving(always=status(401)) as server:
        (tmp_path / "my.toml").write_text(f'[remote]\nendpoint = "{server.url}"\nmodel = "m"\ncache = ""')
        ended = command(
            tmp_path, "--config", "settings", "my.toml", "run", "--source", str(SAMPLE), SHELFSORT_REMOTE_KEY=SECRET
        )
    assert ended.returncode == 1
    said = ended.stdout + ended.stderr
    assert "refuses the key (HTTP 401); put one that is accepted into the environment variable" in said
    assert "Traceback" not in said
    assert SECRET not in said
    assert not list(tmp_path.glob("results/*/*"))
