"""The peak memory of any process of a run on a large CSV file."""

from pathlib import Path

from tests.benchmarks.flow_runs import run_flow, write_source

LIMIT_MB = 700


def run(folder: Path, *, rows: int | None, pairs: int) -> None:
    """Print the peak for a file of 2,000,000 rows, in the chosen number of batches and in a single one."""
    rows = rows or 2_000_000
    source = write_source(folder / "products.csv", rows=rows)
    print(
        f"\nPeak memory of any task, CSV of {rows:,} rows, {source.stat().st_size / 1e6:.0f} MB (limit {LIMIT_MB} MB)"
    )
    print(f"{'batches':>8} {'rows/s':>9} {'wall s':>7} {'CPU s':>7} {'peak MB':>8}")
    for settings in ("", "[batches]\ncount = 1"):
        done = run_flow(source, folder, settings=settings)
        batches = len(done.report["batches"])
        print(
            f"{batches:>8} {rows / done.seconds:>9,.0f} {done.seconds:>7.1f} {done.cpu_seconds:>7.1f}"
            f" {done.peak_mb:>8.0f}"
        )
