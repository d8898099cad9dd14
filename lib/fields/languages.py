"""Which languages a customer's product names are in, roughly, for a person to see that the file was understood."""

from collections import Counter
from collections.abc import Sequence

# Those whose headers we match; both kinds of Norwegian are one.
LANGUAGES = {
    "en": "English",
    "sv": "Swedish",
    "no": "Norwegian",
    "nn": "Norwegian",
    "da": "Danish",
    "fi": "Finnish",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
}
# A name alone is too short to tell, so several are judged together.
TOGETHER = 8
# Languages with a smaller share are as likely a mistake.
SMALLEST_SHARE = 0.05


def language_mix(names: Sequence[str]) -> dict[str, float]:
    """The share of each language among the names, largest first; {} for too few names. By py3langid's classifier."""
    import py3langid

    groups = [" ".join(names[at : at + TOGETHER]) for at in range(0, len(names), TOGETHER)]
    groups = [group for group in groups if sum(map(str.isalpha, group)) >= 20]
    if not groups:
        return {}
    py3langid.set_languages(list(LANGUAGES))
    counts = Counter(LANGUAGES[py3langid.classify(group.lower())[0]] for group in groups)
    shares = {language: count / len(groups) for language, count in counts.most_common()}
    return {language: round(share, 2) for language, share in shares.items() if share >= SMALLEST_SHARE}
