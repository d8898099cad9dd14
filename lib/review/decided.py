"""What people decided of products in review: the category of a name, for one customer and then for all.

A name stands for all products that are called so, whatever the size of the package: name_key says when two names are
the same. A customer's own newest correction counts; where it has none, the other customers' newest ones do if they
agree. A plan takes along what counts for its customer, so that all batches of a run know the same.
"""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from lib.fields.content import without_content
from lib.records import Shard
from lib.shards import SHARDS
from lib.storage import Folder


@dataclass(frozen=True)
class Reviewed:
    """A person's decision on a name."""

    category: str
    by: str
    day: str  # as 2026-11-24
    customer: str  # it was said for

    def why(self, customer: str) -> str:
        """The decision as the results' `why`; whose product another customer's was is not told."""
        return f"corrected by {self.by} {self.day}{'' if self.customer == customer else ', for another customer'}"


# What counts for a customer, by name_key.
ReviewedNames = Mapping[str, Reviewed]


def name_key(name: str, *, brand: str = "") -> str:
    """What is the same of two names that one decision stands for; '' for no name.

    Words of the brand and the name without pack sizes, case and punctuation. The brand is part of it, and put in front
    where the name lacks it: the 'Original' of one brand is a crisp and of another a drink.
    """
    words, brand_words = _words(without_content(name)), _words(brand)
    if brand_words and words and f" {brand_words} " not in f" {words} ":
        return f"{brand_words} {words}"
    return words or " ".join(name.casefold().split())


def _words(text: str) -> str:
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        # In many scripts vowels are marks.
        letters = (letter if unicodedata.category(letter)[0] in "LNM" else " " for letter in text)
    else:
        letters = (letter if letter.isalnum() else " " for letter in text)
    return " ".join("".join(letters).split())


def keep_reviewed(names: ReviewedNames, job: Folder) -> Shard | None:
    """Write what counts into the job's folder for its batches, named by its content; None for nothing."""
    if not names:
        return None
    content = json.dumps([[key, *astuple(names[key])] for key in sorted(names)], ensure_ascii=False).encode()
    digest = hashlib.sha256(content).hexdigest()
    shard = Shard(f"{SHARDS}/reviewed-{digest[:12]}.json", 0, len(names), digest)
    job.write_bytes(shard.name, content)
    return shard


def kept_reviewed(shard: Shard | None, job: Folder) -> ReviewedNames:
    """What keep_reviewed wrote; StorageError when it is gone."""
    if shard is None:
        return {}
    return {key: Reviewed(*rest) for key, *rest in json.loads(job.read_bytes(shard.name))}
