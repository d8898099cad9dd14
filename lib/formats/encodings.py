"""Which encoding a text is in, decided on its first part, with the reason in plain words."""

import codecs
from dataclasses import dataclass

# A text with more lines than this that are not UTF-8 is in another encoding; below it, the lines are strays.
STRAY_LINES = 0.1
# A text in two encodings has at least so many lines with letters of UTF-8 to each that is not UTF-8.
MIXED_LINES = 0.25
# More control characters than this among a sample's bytes, and than a few, and it is no text.
CONTROL_SHARE, FEW_CONTROLS = 0.02, 4
# NUL is not among them: old systems pad cells with it, and binary files have the others too.
_CONTROLS = bytes(set(range(1, 32)) - {9, 10, 11, 12, 13, 26, 27, 28, 29, 30, 31})
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with byte order mark"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32 with byte order mark"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32 with byte order mark"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16 with byte order mark"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16 with byte order mark"),
)
# Single-byte encodings of the languages we match headers in, the likeliest first, with what people call them.
SINGLE_BYTE = {
    "cp1252": "Windows-1252",
    "iso8859_15": "ISO-8859-15",
    "cp1250": "Windows-1250",
    "iso8859_2": "ISO-8859-2",
    "cp850": "DOS code page 850",
    "mac_roman": "Mac Roman",
}
# Letters beyond ASCII of English, the Nordic languages, German, French, Spanish, Italian, Dutch and Polish.
_LETTERS = frozenset("åäöæøéèêëàâçîïôùûüÿœßñáíóúìòąćęłńśźżšž")
# Signs that stand in product files.
_SIGNS = frozenset("€£°§½¼¾–—’‘“”„…«»®™©×•·¡¿²³µ\u00a0´`")
_APOSTROPHES = "’´`"  # as in KELLOGG´S
# What is judged of a large sample: so many bytes beyond ASCII with their neighbours.
_JUDGED = 20_000


@dataclass(frozen=True)
class TextEncoding:
    """How to decode a text."""

    codec: str  # Python's name
    label: str  # for people
    reason: str


def detect_encoding(sample: bytes, *, cut: bool) -> TextEncoding | None:
    """The encoding of a text from its first bytes (`cut`: there are more); None when it is no text.

    Bytes that do not fit it are to be decoded with errors='surrogateescape'.
    """
    for bom, codec, label in _BOMS:
        if sample.startswith(bom):
            return TextEncoding(codec, label, "it begins with its byte order mark")
    wide = _utf16_without_bom(sample)
    if wide:
        return wide
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > max(FEW_CONTROLS, CONTROL_SHARE * (len(sample) - sample.count(0))):
        return None
    text = sample.decode("utf-8", errors="surrogateescape")
    # The last line may be cut within a letter.
    lines = text.splitlines()[:-1] if cut and "\n" in text else text.splitlines()
    bad = sum(not _fits(line) for line in lines)
    fitting = sum(not line.isascii() and _fits(line) for line in lines)
    if not bad:
        reason = "it has no other letters than ASCII's" if text.isascii() else "every byte fits"
        return TextEncoding("utf-8", "UTF-8", reason)
    # Letters of several bytes do not come about by chance: where whole lines have them, the others are strays.
    if fitting and (bad <= STRAY_LINES * len(lines) or fitting >= MIXED_LINES * bad):
        return TextEncoding("utf-8", "UTF-8", f"all but {bad} of the first {len(lines)} lines fit")
    return _single_byte(sample)


def _fits(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in text)


def _utf16_without_bom(sample: bytes) -> TextEncoding | None:
    """UTF-16 by its zero bytes: every other one, in any text that is mostly Latin letters."""
    half = len(sample) // 2
    if half < 4:
        return None
    even, odd = sample[0 : 2 * half : 2].count(0), sample[1 : 2 * half : 2].count(0)
    for zeros, others, codec in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros > 0.6 * half and others < 0.05 * half:
            return TextEncoding(codec, "UTF-16 without byte order mark", "every other byte is zero")
    return None


def _single_byte(sample: bytes) -> TextEncoding:
    """The encoding under which the bytes beyond ASCII look most like words of our languages.

    (charset-normalizer, tried on names in eight languages and eight encodings, took Windows-1250 for Windows-1252 and
    ISO-8859-15 for Mac Roman: product names are too short and too few for its language models.)
    """
    codec = max(SINGLE_BYTE, key=lambda codec: _likeness(sample, codec))
    label, reason = SINGLE_BYTE[codec], "it is not UTF-8, and its words look right so"
    if codec == "cp1252" and not any(0x80 <= byte < 0xA0 for byte in sample):
        label = "Windows-1252 or ISO-8859-1 (the same here)"
    return TextEncoding(codec, label, reason)


def _likeness(sample: bytes, codec: str) -> float:
    text = sample.decode(codec, errors="replace")
    score, judged = 0.0, 0
    for at, letter in enumerate(text):
        if letter < "\x80":
            continue
        before, behind = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
        if letter.lower() in _LETTERS:
            # A capital behind a small letter is no word: 'ŽlevŽes' for 'élevées'.
            score += -2 if letter.isupper() and before.islower() else 1
        elif letter in _SIGNS:
            within = before.isalpha() and behind.isalpha()
            score += (1.5 if letter in _APOSTROPHES else -1) if within else 0.2
        else:
            score -= 2
        judged += 1
        if judged == _JUDGED:
            break
    return score
