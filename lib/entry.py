"""Between a shell and a Metaflow flow: the defaults a run needs, and what would go wrong at once."""

import os
import sys
from collections.abc import Callable
from gzip import GzipFile
from pathlib import Path
from typing import Any

from metaflow.util import get_username

from lib import settings
from lib.errors import SettingsError
from lib.processes import cores


def main(flow: Callable[[], Any]) -> None:
    """Run a flow's command line with what a fresh machine lacks, and check a settings file given on it first."""
    # Metaflow refuses to run as root or where no user name is set, as in most containers. It has read
    # METAFLOW_USER already; that one is for its tasks, USERNAME for this process.
    if get_username() is None:
        os.environ["METAFLOW_USER"] = os.environ["USERNAME"] = "shelfsort"
    # Its default of 16 workers is slower than one a core; `run --max-workers` still wins.
    os.environ.setdefault("METAFLOW_RUN_MAX_WORKERS", str(cores()))
    os.environ.setdefault("METAFLOW_RESUME_MAX_WORKERS", os.environ["METAFLOW_RUN_MAX_WORKERS"])
    try:
        for path in _values(sys.argv, "--config", "settings"):
            settings.check_file(path)
        for workers in _values(sys.argv, "--max-workers"):
            if workers.strip().isdigit() and not int(workers):
                raise SettingsError("--max-workers 0: nothing would ever run; give 1 or more")  # Metaflow waits forever
        _check_records_can_be_kept()
    except SettingsError as error:
        sys.exit(f"Shelfsort: {error}")
    sys.unraisablehook = _without_abandoned_archives
    _run(flow)


def _run(flow: Callable[[], Any]) -> None:
    # Not above: each task comes this way, and few need a database.
    from lib.importjobs.holder import hold, submitted_job

    job_id = submitted_job(sys.argv)
    if not job_id:
        flow()
        return
    files = _values(sys.argv, "--config", "settings")
    hold(job_id, flow, config=settings.parse(Path(files[-1]).read_text("utf-8") if files else ""))


def _without_abandoned_archives(unraisable: Any) -> None:
    """Keep quiet about the archive that Metaflow 2.19 creates twice and abandons once when it packs the code.

    Python 3.12 and newer print a traceback when such a one is collected; nothing is wrong with the package.
    """
    if not (isinstance(unraisable.object, GzipFile) and isinstance(unraisable.exc_value, ValueError)):
        sys.__unraisablehook__(unraisable)


def _check_records_can_be_kept() -> None:
    elsewhere = {"METAFLOW_DATASTORE_SYSROOT_LOCAL", "METAFLOW_DEFAULT_DATASTORE"} & set(os.environ)
    here = Path.cwd()
    kept = any((folder / ".metaflow").exists() for folder in (here, *here.parents))
    if "run" in sys.argv[1:] and not elsewhere and not kept and not os.access(here, os.W_OK):
        raise SettingsError(
            f"{here}: cannot be written to, and Metaflow keeps its records in the current folder; "
            "change to another, or name one in METAFLOW_DATASTORE_SYSROOT_LOCAL"
        )


def _values(arguments: list[str], *flags: str) -> list[str]:
    """What follows each occurrence of these words of a command line."""
    length = len(flags)
    places = range(len(arguments) - length)
    return [arguments[at + length] for at in places if tuple(arguments[at : at + length]) == flags]
