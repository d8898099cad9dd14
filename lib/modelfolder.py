"""A model's folder: `card.json` (what the model is and how good) and `arrays.npz` (all that decides an answer).

There is no pickle in it. The same model and card give the same bytes. The card is written last, so that no reader finds
it without its model, and names the version, a hash of the model's content, which is checked when it is loaded. It
also names the kind of the model, but for the word model, which was the first.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from lib.errors import ModelError, StorageError
from lib.storage import Folder, folder

# The layout of a model folder; another number is another layout.
FORMAT = 3
CARD, ARRAYS = "card.json", "arrays.npz"
# Kinds of models: of lib/words and of lib/blocks.
WORDS, BLOCKS = "", "blocks"
KINDS = (WORDS, BLOCKS)
ADVICE = "train one with flows/train.py or correct `model` in the config"
# The shares of right answers that thresholds are kept for.
PRECISIONS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
# A date inside a zip file would make every save different.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)

# What reading a zip file of arrays raises where bytes are wrong; zipfile does not implement what they then ask for.
_DAMAGE = (ValueError, LookupError, TypeError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error)

Arrays = Mapping[str, npt.NDArray[Any]]


class Versioned(Protocol):
    """What a model's content has, of whatever kind."""

    kind: ClassVar[str]  # of KINDS

    @property
    def labels(self) -> list[str]:
        """What its answers are."""

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What goes into arrays.npz."""

    @property
    def version(self) -> str:
        """What version_of gives for the arrays."""


C = TypeVar("C", bound=Versioned)


def version_of(arrays: Arrays) -> str:
    """The first 12 hex digits of a SHA-256 over everything that decides an answer."""
    digest = hashlib.sha256(str(FORMAT).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]


def save(content: Versioned, uri: str, *, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write a model folder, local or s3://, and return its card."""
    place = folder(uri)
    what = {"kind": content.kind} if content.kind else {}
    card = {"format": FORMAT, **what, "name": name, "version": content.version, **facts, "labels": content.labels}
    place.write_bytes(ARRAYS, zipped(content.arrays()))
    place.write_bytes(CARD, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())
    return card


def load(uri: str, of: Callable[[Arrays], C], *, kind: str) -> tuple[dict[str, Any], C]:
    """The card and the content of a model folder; ModelError when they cannot be used or are of another kind.

    `of` makes the content of its arrays, and raises KeyError or ValueError when they do not fit together.
    """
    place = folder(uri)
    card = read_card(place)
    if kind_of(card) != kind:
        raise ModelError(f"{place.uri}: the model is of the kind {kind_of(card)!r}, not {kind!r}; {ADVICE}")
    try:
        with np.load(io.BytesIO(_read(place, ARRAYS)), allow_pickle=False) as file:
            content = of({name: file[name] for name in file.files})
        found, version = content.version, str(card["version"])
        str(card["name"])
    except _DAMAGE as error:
        raise ModelError(f"{place.uri}: the model is damaged ({error}); {ADVICE}") from error
    if found != version:
        raise ModelError(f"{place.uri}: the model's files are of version {found}, its card of {version}; {ADVICE}")
    return card, content


def read_card(place: Folder) -> dict[str, Any]:
    """A model folder's card; ModelError when there is none, or one of another format or of a kind nobody knows."""
    try:
        card = json.loads(_read(place, CARD))
    except ValueError as error:
        raise ModelError(f"{place.uri_of(CARD)}: is not JSON ({error}); {ADVICE}") from None
    number = card.get("format") if isinstance(card, dict) else None
    if number != FORMAT:
        what = f"is of format {number}, this Shelfsort reads format {FORMAT}"
        raise ModelError(f"{place.uri_of(CARD)}: {what}; {ADVICE}")
    if kind_of(card) not in KINDS:
        raise ModelError(f"{place.uri_of(CARD)}: no model of the kind {kind_of(card)!r} is known; {ADVICE}")
    return dict(card)


def kind_of(card: Mapping[str, Any]) -> str:
    """Which of KINDS a card says its model is."""
    return str(card.get("kind", WORDS))


def zipped(arrays: Arrays) -> bytes:
    """The arrays as a compressed .npz file without the dates that numpy's own writer puts in."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", ZIP_DATE), part.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return content.getvalue()


def _read(place: Folder, name: str) -> bytes:
    try:
        return place.read_bytes(name)
    except StorageError as error:
        raise ModelError(f"no usable model: {error}; {ADVICE}") from error
