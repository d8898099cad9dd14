"""Categorizer: loads a model folder and gives every product text its most likely categories.

A model folder holds `card.json` (what the model is and how good), `arrays.npz` (weights) and `vocabulary.txt`
(one term a line); there is no pickle in it. The model is linear: words and word pairs, weighted by rarity, times a
sparse matrix of weights, give each label a margin; the three best margins give calibrated confidences.

Only numpy and scipy.sparse are imported: every batch is a fresh process, and loading must be quick.
"""

import hashlib
import io
import json
import re
import unicodedata
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lib.errors import ModelError, StorageError
from lib.storage import Folder, folder

# The best category and the two next-best ones.
TOP = 3
# In Predictions.categories: no category of this rank; a slow model names one, or none when it has no answer.
NONE = -1
# The layout of a model folder; another number is another layout.
FORMAT = 1
CARD, ARRAYS, VOCABULARY = "card.json", "arrays.npz", "vocabulary.txt"
# Texts handled at once: the margins of so many are about 5 MB, whatever the number of texts asked for.
CHUNK = 4096
ADVICE = "train one with flows/train.py or correct `model` in the config"

_WORD = re.compile(r"[^\W_]+")
# What Unicode's decomposition leaves alone; an apostrophe goes, so that Campbell's is one word.
_LETTERS = str.maketrans({"’": "", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l"})


@dataclass(frozen=True)
class Predictions:
    """The most likely categories of n texts, best first."""

    categories: npt.NDArray[np.int32]  # (n, TOP) indices into the categorizer's labels, or NONE
    confidences: npt.NDArray[np.float64]  # (n, TOP) calibrated probabilities, rounded to 4 decimals


class Categorizer(Protocol):
    """What the main job needs of a model; a slow one behind a network can take its place."""

    name: str
    version: str  # a hash of the model's content
    labels: list[str]

    def categorize(self, texts: list[str]) -> Predictions:
        """The TOP categories of each text; the same text gets the same answer in whatever company it comes."""


def load_categorizer(uri: str) -> Categorizer:
    """The categorizer whose model lies in a folder, local or s3://; ModelError when it cannot be used."""
    place = folder(uri)
    card = _read_card(place)
    try:
        with np.load(io.BytesIO(_read(place, ARRAYS)), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        vocabulary = _read(place, VOCABULARY).decode("utf-8")
        model = LinearModel.of(arrays, vocabulary, labels=card["labels"], pairs=card["pairs"])
        found, name, version = model.version, str(card["name"]), card["version"]
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{place.uri}: the model is damaged ({error}); {ADVICE}") from error
    if found != version:
        raise ModelError(f"{place.uri}: the model's files are of version {found}, its card of {version}; {ADVICE}")
    return LinearCategorizer(name, model)


def words(text: str) -> list[str]:
    """A text's words as the model knows them: lower case, without accents and apostrophes, split at all else."""
    text = text.casefold()
    if not text.isascii():
        plain = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in plain if not unicodedata.combining(letter)).translate(_LETTERS)
    return _WORD.findall(text.replace("'", ""))


def terms_of(text: str, *, pairs: bool) -> list[str]:
    """The distinct words of a text, then its distinct pairs of neighbouring words, each in order of appearance."""
    found = words(text)
    if pairs:
        found += [f"{first} {second}" for first, second in pairwise(found)]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class LinearModel:
    """The fitted numbers, for t terms and c labels."""

    labels: list[str]  # c, in alphabetical order
    terms: list[str]  # t words and pairs
    pairs: bool  # whether pairs of words are terms too
    rarity: npt.NDArray[np.float32]  # (t + 1,): ln((1 + names) / (1 + names with the term)) + 1; last: of no name
    weights: Any  # (t, c) scipy.sparse.csr_array of float32, all of them values of float16
    intercept: npt.NDArray[np.float32]  # (c,)
    calibration: npt.NDArray[np.float64]  # (TOP, TOP + 1), see confidences_of

    @staticmethod
    def of(arrays: dict[str, npt.NDArray[Any]], vocabulary: str, *, labels: list[str], pairs: bool) -> "LinearModel":
        """The model of what the folder's files hold; KeyError or ValueError when they do not fit together."""
        terms = vocabulary.split("\n")
        parts = (arrays["weights"].astype(np.float32), arrays["columns"].astype(np.int32), arrays["row_ends"])
        weights = sparse.csr_array(parts, shape=(len(terms), len(labels)))
        return LinearModel(labels, terms, pairs, arrays["rarity"], weights, arrays["intercept"], arrays["calibration"])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What goes into arrays.npz; numbers of two bytes halve the file."""
        return {
            "rarity": self.rarity,
            "weights": self.weights.data.astype(np.float16),
            "columns": self.weights.indices.astype(np.uint16),
            "row_ends": self.weights.indptr.astype(np.int32),
            "intercept": self.intercept,
            "calibration": self.calibration,
        }

    @property
    def version(self) -> str:
        """The first 12 hex digits of a SHA-256 over everything that decides an answer."""
        head = {"format": FORMAT, "labels": self.labels, "pairs": self.pairs, "terms": self.terms}
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for name, array in self.arrays().items():
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]


class LinearCategorizer:
    """A Categorizer of a LinearModel.

    Every sum runs along one text's own row in a fixed order, so company never changes an answer; of equal
    margins the label that comes first in the alphabet wins. A text without any known word of letters alone has
    confidence 0, because a number or size (500g) is all that the model knows of it.
    """

    def __init__(self, name: str, model: LinearModel) -> None:
        self.name = name
        self.version = model.version
        self.labels = model.labels
        self.model = model
        self._numbers = {term: number for number, term in enumerate(model.terms)}
        self._rarity = model.rarity.astype(np.float64)
        self._weights = model.weights.astype(np.float64)
        # 1 for a word of letters alone; a pair follows from its words.
        self._telling = np.array([term.isalpha() for term in model.terms], dtype=np.float64)
        self._intercept = model.intercept.astype(np.float64)

    def categorize(self, texts: list[str]) -> Predictions:
        """The TOP categories of each text with their confidences."""
        categories, margins, known = self.best(texts)
        confidences = np.where(known[:, None], confidences_of(margins, self.model.calibration), 0.0)
        return Predictions(categories, confidences)

    def best(self, texts: list[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """The TOP labels' numbers and margins of each text, best first, and whether it has a known word."""
        categories = np.zeros((len(texts), TOP), dtype=np.int32)
        values = np.zeros((len(texts), TOP))
        known = np.zeros(len(texts), dtype=np.bool_)
        for start in range(0, len(texts), CHUNK):
            features = self.features(texts[start : start + CHUNK])
            margins = (features @ self._weights).toarray() + self._intercept
            rows = np.arange(len(margins))
            for rank in range(TOP):
                winners = margins.argmax(axis=1)
                categories[start + rows, rank] = winners
                values[start + rows, rank] = margins[rows, winners]
                margins[rows, winners] = -np.inf
            known[start + rows] = features @ self._telling > 0
        return categories, values, known

    def features(self, texts: list[str]) -> Any:
        """Each text's known terms as a row of a (n, t) csr_array: their rarities, scaled to a length of at most 1.

        Unknown words lengthen the row before it is scaled, as rare as words can be: the less of a text is known,
        the closer its margins come to those of no text at all. Unknown numbers and sizes (500ml) do not count.
        """
        numbers: list[int] = []
        ends = [0]
        unknown = []
        look_up, pairs = self._numbers.get, self.model.pairs
        for text in texts:
            strangers = 0
            for term in terms_of(text, pairs=pairs):
                number = look_up(term)
                if number is not None:
                    numbers.append(number)
                elif term.isalpha():
                    strangers += 1
            ends.append(len(numbers))
            unknown.append(strangers)
        columns = np.array(numbers, dtype=np.int32)
        row_ends = np.array(ends, dtype=np.int32)
        rows = np.repeat(np.arange(len(texts)), np.diff(row_ends))
        values = self._rarity[columns]
        squares = np.bincount(rows, weights=values * values, minlength=len(texts))
        lengths = np.sqrt(squares + self._rarity[-1] ** 2 * np.array(unknown, dtype=np.float64))
        shape = (len(texts), len(self.model.terms))
        return sparse.csr_array((values / lengths[rows], columns, row_ends), shape=shape)


def confidences_of(margins: npt.NDArray[np.float64], calibration: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The probabilities that the first, second and third label are right, from their margins (n, TOP).

    A softmax over four outcomes (first, second, third, none of them), each of the first three with a constant and
    a factor for every margin (a row of the calibration), none with 0. Never rising, in 4 decimals.
    """
    odds = np.zeros((len(margins), TOP + 1))
    for outcome, (constant, *factors) in enumerate(calibration):
        odds[:, outcome] = constant
        for rank, factor in enumerate(factors):
            odds[:, outcome] += factor * margins[:, rank]
    odds = np.exp(odds - odds.max(axis=1, keepdims=True))
    chances = odds[:, :TOP] / odds.sum(axis=1, keepdims=True)
    falling: npt.NDArray[np.float64] = np.minimum.accumulate(chances, axis=1)
    return falling.round(4)


def _read_card(place: Folder) -> dict[str, Any]:
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
