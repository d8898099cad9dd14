"""Tests; a package, so that conftest.py and the tests share tests.services."""
