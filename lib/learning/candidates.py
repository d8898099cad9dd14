"""Settings of models that might turn out best: what flows/train.py fits side by side."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """Settings of a word model that might turn out best; see lib/words/fit.py for what they mean."""

    name: str
    epochs: int = 5
    hidden: int = 128
    lexicon: bool = True  # whether config/lexicon explains words of other languages
    spelling: bool = False  # whether unknown words are read as known ones a mistake away (lib/words/spelling.py)


@dataclass(frozen=True)
class Blocks:
    """Settings of a model of blocks (lib/blocks) that might turn out best."""

    name: str
    cost: float = 1.0


CANDIDATES = (Candidate("longer", epochs=6, spelling=True), Candidate("longest", epochs=8, spelling=True))
# The lexicon is about groceries: it takes the colour brown for a cheese, which costs clothes and tools right answers.
# A word that a file's few names lack is mostly no mistyped one: of 1,000 to 8,000 offers in GS1 GPC, taking it for one
# cost .2 to .6 points.
CANDIDATES_OF_FILES = (
    Candidate("longer", epochs=6),
    Candidate("untranslated", epochs=6, lexicon=False),
    Blocks("blocks"),
)
# A model of blocks takes time for each example and label: so many examples times labels, with texts as long as those of
# GPC's offers, take some 40 CPU minutes; and memory for each example, of which so many take a few GB.
MOST_PAIRS_FOR_BLOCKS, MOST_ROWS_FOR_BLOCKS = 50_000_000, 200_000
