"""A model's folder: `card.json` (what the model is and how good) and `arrays.npz` (all that decides an answer).

There is no pickle in it. The same model and card give the same bytes. The card is written last, so that no reader finds
it without its model, and names the version, a hash of the model's content, which is checked when it is loaded.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.errors import ModelError, StorageError
from lib.storage import Folder, folder
from lib.words.lexicon import Lexicon
from lib.words.numbers import Fitted, zipped

# The layout of a model folder; another number is another layout.
FORMAT = 2
CARD, ARRAYS = "card.json", "arrays.npz"
ADVICE = "train one with flows/train.py or correct `model` in the config"
# The shares of right answers that thresholds are kept for.
PRECISIONS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)

# What reading a zip file of arrays raises where bytes are wrong; zipfile does not implement what they then ask for.
_DAMAGE = (ValueError, LookupError, TypeError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Content:
    """All that decides an answer; c labels."""

    labels: list[str]  # in alphabetical order
    parent_of: list[str]  # (c,) the category above each label, '' where there is none
    fitted: Fitted
    # (len(PRECISIONS), c + 1): the confidence from which a label can be taken for right; the last, a parent.
    thresholds: npt.NDArray[np.float64]
    weights: dict[str, float]  # of Described's other texts, beside the name's 1
    lexicon: Lexicon

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What goes into arrays.npz."""
        told = json.dumps([self.labels, self.parent_of, self.weights], ensure_ascii=False)
        return {
            **self.fitted.arrays(),
            **self.lexicon.arrays(),
            "thresholds": self.thresholds,
            "labels": np.frombuffer(told.encode(), dtype=np.uint8),
        }

    @staticmethod
    def of(arrays: Mapping[str, npt.NDArray[Any]]) -> "Content":
        """The model that arrays() came from; KeyError or ValueError when they do not fit together."""
        labels, parent_of, weights = json.loads(arrays["labels"].tobytes())
        fitted, thresholds = Fitted.of(arrays), arrays["thresholds"]
        if not len(labels) == len(parent_of) == len(fitted.intercept) == thresholds.shape[1] - 1:
            raise ValueError("its labels and numbers differ in length")
        return Content(labels, parent_of, fitted, thresholds, weights, Lexicon.of(arrays))

    @cached_property
    def version(self) -> str:
        """The first 12 hex digits of a SHA-256 over everything that decides an answer."""
        digest = hashlib.sha256(str(FORMAT).encode())
        for name, array in sorted(self.arrays().items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]


def save(content: Content, uri: str, *, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write a model folder, local or s3://, and return its card."""
    place = folder(uri)
    card = {"format": FORMAT, "name": name, "version": content.version, **facts, "labels": content.labels}
    place.write_bytes(ARRAYS, zipped(content.arrays()))
    place.write_bytes(CARD, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())
    return card


def load(uri: str) -> tuple[dict[str, Any], Content]:
    """The card and the content of a model folder; ModelError when they cannot be used."""
    place = folder(uri)
    card = read_card(place)
    try:
        with np.load(io.BytesIO(_read(place, ARRAYS)), allow_pickle=False) as file:
            content = Content.of({name: file[name] for name in file.files})
        found, version = content.version, str(card["version"])
        str(card["name"])
    except _DAMAGE as error:
        raise ModelError(f"{place.uri}: the model is damaged ({error}); {ADVICE}") from error
    if found != version:
        raise ModelError(f"{place.uri}: the model's files are of version {found}, its card of {version}; {ADVICE}")
    return card, content


def read_card(place: Folder) -> dict[str, Any]:
    """A model folder's card; ModelError when there is none, or one of another format."""
    try:
        card = json.loads(_read(place, CARD))
    except ValueError as error:
        raise ModelError(f"{place.uri_of(CARD)}: is not JSON ({error}); {ADVICE}") from None
    number = card.get("format") if isinstance(card, dict) else None
    if number != FORMAT:
        what = f"is of format {number}, this Shelfsort reads format {FORMAT}"
        raise ModelError(f"{place.uri_of(CARD)}: {what}; {ADVICE}")
    return dict(card)


def _read(place: Folder, name: str) -> bytes:
    try:
        return place.read_bytes(name)
    except StorageError as error:
        raise ModelError(f"no usable model: {error}; {ADVICE}") from error
