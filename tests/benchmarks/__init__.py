"""Benchmarks: `python -m tests.benchmarks` prints every table, `python -m tests.benchmarks NAME` one."""
