"""A job that asks a slow model, in one process: its answers in the results, its counts in the report."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.catalog import CatalogImport
from lib.errors import ModelError
from lib.joining import Joined, join_batches
from lib.planning import ImportPlan, plan_import
from lib.processing import process_batch
from lib.records import BatchResult
from lib.remote import endpoint as chat_endpoint
from lib.reporting import build_report, summary
from lib.settings import Settings, parse, settings_of
from tests.fakes import LengthCategorizer
from tests.llm_server import LlmServer, content, serving, status

JOB = "12345678-1234-5678-1234-567812345678"
# The fake fast one is sure of a name of ten letters and more.
PRODUCTS = "name\nham\na long name of it\negg\nHam\ncheese\n"


@pytest.fixture(autouse=True)
def fake_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_endpoint, "BACKOFF_SECONDS", 0.001)
    for module in ("planning", "processing"):
        monkeypatch.setattr(f"lib.{module}.load_categorizer", lambda uri, precision: LengthCategorizer())


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with serving() as facts:
        facts.judge = lambda name: ("0 letters", 0.9)
        yield facts


class Job:
    """A job on PRODUCTS whose answers are kept in the test's folder."""

    def __init__(
        self, folder: Path, server: LlmServer, *, count: int = 1, threshold: float = 0.5, **remote: Any
    ) -> None:
        self.folder, self.count = folder, count
        given = {"endpoint": server.url, "model": "m", "cache": str(folder / "kept.db"), "failures_at_most": 1.0}
        section = "\n".join(f"{name} = {json.dumps(value)}" for name, value in (given | remote).items())
        text = f"review_threshold = {threshold}\n[batches]\ncount = {count}\n[remote]\n{section}"
        self.settings: Settings = settings_of(parse(text))

    def plan(self) -> ImportPlan:
        source = self.folder / "products.csv"
        source.write_text(PRODUCTS)
        output = str(self.folder / "results")
        return plan_import(str(source), output=output, job_id=JOB, settings=self.settings, cores=2)

    def run(self) -> tuple[ImportPlan, list[BatchResult], Joined]:
        plan = self.plan()
        results = [process_batch(batch, plan=plan, settings=self.settings) for batch in plan.batches]
        return plan, results, join_batches(plan, results)

    def report(self) -> dict[str, Any]:
        plan, results, joined = self.run()
        kept = joined.tally.outcomes.total() - joined.tally.outcomes["rejected"]
        catalog = CatalogImport("catalog.db", "", kept, kept, 0, 0, 0, 0, 0, True, 0.0)
        return build_report(plan, results, joined, catalog=catalog, settings=self.settings, started="now")

    def rows(self, name: str) -> list[list[str]]:
        with (self.folder / "results" / JOB / name).open(encoding="utf-8-sig", newline="") as file:
            return [
                [row[key] for key in ("name", "category", "confidence", "category_2", "confidence_2")]
                for row in csv.DictReader(file)
            ]


def test_the_slow_ones_answers_stand_where_the_fast_one_is_unsure(tmp_path: Path, server: LlmServer) -> None:
    job = Job(tmp_path, server)
    report = job.report()
    assert server.names == ["milk", "ham", "egg", "cheese"]
    assert job.rows("categorized.csv") == [
        ["ham", "0 letters", "0.9", "3 letters", "0.1"],
        ["a long name of it", "7 letters", "0.85", "8 letters", "0.425"],
        ["egg", "0 letters", "0.9", "3 letters", "0.1"],
        ["Ham", "0 letters", "0.9", "3 letters", "0.1"],
        ["cheese", "0 letters", "0.9", "6 letters", "0.1"],
    ]
    assert report["model"]["name"] == "by length, then m"


def test_alone_it_names_one_category_and_none_where_it_has_no_answer(tmp_path: Path, server: LlmServer) -> None:
    job = Job(tmp_path, server, only_for_review=False, threshold=0.0, texts_a_call=1, calls_at_once=1)
    server.faults.extend([content(lambda answers: json.dumps({"answers": answers})), status(400)])
    report = job.report()
    assert report["categorized"] == 3
    assert job.rows("categorized.csv")[0] == ["a long name of it", "0 letters", "0.9", "", ""]
    # Also at a threshold of 0: there is nothing to be sure of.
    assert job.rows("review.csv") == [["ham", "", "0", "", ""], ["Ham", "", "0", "", ""]]
    assert report["model"]["name"] == "m"


def test_the_report_adds_up_what_the_plan_and_all_batches_asked(tmp_path: Path, server: LlmServer) -> None:
    report = Job(tmp_path, server, count=2, texts_a_call=1, price_in=1.0, price_out=10.0).report()
    assert len(report["batches"]) == 2
    remote = report["remote"]
    assert remote.pop("seconds_waited") >= 0
    assert remote == {
        "endpoint": server.url,
        "model": "m",
        "only_for_review": True,
        "texts": 5,  # milk; ham and egg; ham and cheese
        "cache_hits": 1,  # ham, in the second batch
        "answered": 4,
        "failures": {},
        "calls": 4,
        "retries": 0,
        "prompt_tokens": 400,
        "completion_tokens": 40,
        "cost": 0.0008,
    }
    line = "m: 5 names asked for, 1 of them answered by the cache and 0 not at all; 4 calls, cost 0.00"
    assert line in summary(report).splitlines()


def test_without_a_slow_model_the_report_says_nothing_of_one(tmp_path: Path, server: LlmServer) -> None:
    report = Job(tmp_path, server, endpoint="").report()
    assert "remote" not in report
    assert not server.requests


def test_a_finished_batch_is_not_asked_again_and_its_cost_still_counts(tmp_path: Path, server: LlmServer) -> None:
    first = Job(tmp_path, server, price_out=1.0).report()
    asked = len(server.requests)
    second = Job(tmp_path, server, price_out=1.0).report()
    assert second["timing"]["reused_batches"] == [0]
    assert len(server.requests) == asked
    assert second["remote"]["answered"] == 3  # the first question's answer was kept as well
    assert first["remote"]["answered"] == 4


def test_a_batch_with_products_left_without_an_answer_is_taken_up_again(tmp_path: Path, server: LlmServer) -> None:
    good = content(lambda answers: json.dumps({"answers": answers}))
    server.faults.extend([good, status(400)])
    job = Job(tmp_path, server, texts_a_call=1, calls_at_once=1)
    assert job.report()["remote"]["failures"] == {"refused": 1}
    assert job.rows("review.csv")[0][:2] == ["ham", "3 letters"]
    asked = len(server.requests)
    report = job.report()
    assert report["remote"]["failures"] == {}
    assert report["timing"]["reused_batches"] == []
    assert [request.names for request in server.requests[asked:]] == [["ham"]]
    assert job.rows("review.csv") == []


def test_another_model_there_or_another_part_for_it_makes_other_results(tmp_path: Path, server: LlmServer) -> None:
    kinds: list[dict[str, Any]] = [
        {"endpoint": ""},
        {},
        {"model": "other"},
        {"only_for_review": False},
        {"threshold": 0.6},
    ]
    keys = [Job(tmp_path, server, **kind).plan().results_key for kind in kinds]
    assert len(set(keys)) == len(kinds)
    same: dict[str, Any] = {"texts_a_call": 7, "tries": 2, "price_in": 1.0, "calls_a_minute": 1000.0, "cache": ""}
    assert Job(tmp_path, server, **same).plan().results_key == keys[1]


def test_a_refused_key_ends_the_plan_before_anything_is_staged(tmp_path: Path, server: LlmServer) -> None:
    server.always = status(401)
    with pytest.raises(ModelError, match="environment variable SHELFSORT_REMOTE_KEY"):
        Job(tmp_path, server).plan()
    assert not (tmp_path / "results" / JOB).exists()
