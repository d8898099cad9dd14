"""How words of the lexicon's languages begin, end and are joined."""

# Letters between the parts of a compound.
LINKS = {
    "da": ("s", "e"),
    "de": ("s", "n", "en", "es", "er", "e"),
    "fi": ("n",),
    "nb": ("s", "e"),
    "nl": ("s", "en", "e", "n"),
    "sv": ("s", "e"),
}
# What words end with beside what the lexicon has, and what stands there instead.
ENDINGS = {
    "da": ("erne", "ene", "en", "et", "er", "e", "s", "r", "n"),
    "de": ("en", "es", "er", "em", "e", "n", "s"),
    "en": ("es", "s"),
    "es": ("es", "s", "os>o", "as>o", "a>o"),
    "fi": ("ssa", "sta", "lla", "ita", "ja", "ia", "ta", "a", "n", "t", "ja>i", "ien>i", "en>i", "ea>i", "it>i"),
    "fr": ("s", "x", "es", "e", "aux>al", "ees>e"),
    "it": ("i>o", "i>e", "e>a", "he>a", "hi>o", "a>o", "i>a"),
    "nb": ("ene", "en", "et", "er", "e", "a", "s", "r", "n"),
    "nl": ("jes", "en", "tje", "je", "s", "e", "n"),
    "sv": ("arna", "erna", "orna", "en", "et", "ar", "er", "or", "na", "n", "t", "a", "s", "or>a", "ade>ad"),
}
# What loses its vowel and is joined to a following word that begins with one of these letters; longer ones first.
ELIDED = {"fr": ("d", "l"), "it": ("dell", "nell", "sull", "all", "d", "l")}
ELIDED_BEFORE = "aeiouh"
