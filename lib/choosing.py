"""The categorizer a job uses: the fast model of a folder, a slow one in its place, or that where the fast is unsure."""

from lib.categorizing import Categorizer
from lib.modelfolder import BLOCKS, kind_of, read_card
from lib.remote.usage import Usage
from lib.settings import Settings
from lib.storage import folder


def load_categorizer(uri: str, *, precision: float = 0.95) -> Categorizer:
    """The categorizer of the kind of model in a folder, local or s3://; ModelError when it cannot be used.

    `precision`: the share of right answers wanted among those it is sure of.
    """
    # Not above: scikit-learn, which blocks need, takes a second to load, and a batch needs one kind.
    if kind_of(read_card(folder(uri))) == BLOCKS:
        from lib.blocks.categorizer import BlockCategorizer

        return BlockCategorizer.load(uri, precision=precision)
    from lib.words.categorizer import WordCategorizer

    return WordCategorizer.load(uri, precision=precision)


def chosen(fast: Categorizer, settings: Settings, *, ask_first: bool = False) -> Categorizer:
    """The fast categorizer, or what the settings' section `remote` makes of it; both answer in the fast one's labels.

    `ask_first` asks the endpoint one name, so that a mistake is met before the work. Raises ModelError.
    """
    if not settings.remote.endpoint:
        return fast
    # Not above: most jobs ask nobody, and HTTP takes a tenth of a second to load.
    from lib.remote.categorizer import CascadeCategorizer, RemoteCategorizer, read_definitions

    definitions = read_definitions(settings.remote.describe)
    slow = RemoteCategorizer(settings.remote, labels=fast.labels, definitions=definitions)
    if ask_first:
        slow.check()
    if settings.remote.only_for_review:
        return CascadeCategorizer(fast, slow, threshold=settings.review_threshold)
    return slow


def usage_of(categorizer: Categorizer) -> Usage | None:
    """What a slow categorizer has used so far; None for a fast one."""
    usage = getattr(categorizer, "usage", None)
    return usage if isinstance(usage, Usage) else None
