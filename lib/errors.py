"""Why a whole file, model, job or store is refused.

    ShelfsortError            one line for a person: what, where, what to do
    ├── SourceError           the customer's file cannot be read as products
    ├── SettingsError         a key, value or file of the configuration
    ├── ModelError            a categorizer that is missing, damaged or of another format
    ├── StorageError          a folder or bucket that cannot be read or written
    ├── AccountingError       rows of the source that the results do not account for, or twice
    ├── BatchesFailed         more batches failed than the settings tolerate
    ├── CatalogError          the database did not take the results
    └── JobError              an import job that is not known, or not in a state for what is asked
        └── AlreadyImported   the same customer's same file is a job already

A bad *row* is never an exception: it becomes a rejected row with its reasons (see records.Reason).
"""


class ShelfsortError(Exception):
    """Base of everything that Shelfsort raises on purpose; its text is one line meant for a person."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class SourceError(ShelfsortError):
    """The customer's file cannot be read as a table of products."""


class SettingsError(ShelfsortError):
    """The configuration has an unknown key, a bad value, or cannot be read."""


class ModelError(ShelfsortError):
    """The categorizer's model is missing, damaged, or of a format this version does not know."""


class StorageError(ShelfsortError):
    """A folder or bucket cannot be read or written."""


class AccountingError(ShelfsortError):
    """The results do not hold every row of the source exactly once."""


class BatchesFailed(ShelfsortError):
    """More batches failed on all their tries than the settings tolerate."""


class CatalogError(ShelfsortError):
    """The catalog's database cannot be reached or refused the import."""


class JobError(ShelfsortError):
    """An import job is not known, or not in a state for what is asked of it."""


class AlreadyImported(JobError):
    """The same customer has submitted the same content before; `job_id` is that job's."""

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id
