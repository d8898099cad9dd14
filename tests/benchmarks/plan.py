"""The chosen number of batches and workers against a naive split into 100 with Metaflow's default of 16 workers."""

from pathlib import Path
from statistics import median

from tests.benchmarks.flow_runs import Run, run_flow, write_source


def run(folder: Path, *, rows: int | None, pairs: int) -> None:
    """Print both, run in turn on the same file of 1,000,000 rows, and the median of the ratios pair by pair."""
    rows = rows or 1_000_000
    source = write_source(folder / "products.csv", rows=rows)
    print(f"\nChosen plan against a naive 100-way split with 16 workers, CSV of {rows:,} rows, {pairs} pairs in turn")
    chosen, naive = [], []
    for _ in range(pairs):
        chosen.append(run_flow(source, folder))
        naive.append(run_flow(source, folder, "--max-workers", "16", settings="[batches]\ncount = 100"))
    print(f"{'':<10} {'batches':>8} {'wall s (median)':>16} {'CPU s (median)':>15} {'rows/s':>9}")
    for name, runs in (("chosen", chosen), ("naive", naive)):
        wall, cpu = median(r.seconds for r in runs), median(r.cpu_seconds for r in runs)
        print(f"{name:<10} {len(runs[0].report['batches']):>8} {wall:>16.1f} {cpu:>15.1f} {rows / wall:>9,.0f}")
    print(f"naive / chosen: wall {_ratio(naive, chosen, 'seconds')}, CPU {_ratio(naive, chosen, 'cpu_seconds')}")


def _ratio(ones: list[Run], others: list[Run], figure: str) -> str:
    ratios = [getattr(one, figure) / getattr(other, figure) for one, other in zip(ones, others, strict=True)]
    return f"{median(ratios):.2f} (median; {min(ratios):.2f} to {max(ratios):.2f})"
