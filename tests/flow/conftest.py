"""For runs through Metaflow."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _a_user_for_metaflow() -> Iterator[None]:
    """Metaflow's Runner wants to know a user, and refuses root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USERNAME", "test")
        yield
