"""Which categorizer a job uses: the fast model, a slow one in its place, or the slow one where the fast is unsure."""

from lib.categorizing import Categorizer
from lib.settings import Settings
from lib.usage import Usage


def chosen(fast: Categorizer, settings: Settings, *, ask_first: bool = False) -> Categorizer:
    """The fast categorizer, or what the settings' section `remote` makes of it; both answer in the fast one's labels.

    `ask_first` asks the endpoint one name, so that a mistake is met before the work. Raises ModelError.
    """
    if not settings.remote.endpoint:
        return fast
    # Not above: most jobs ask nobody, and HTTP takes a tenth of a second to load.
    from lib.remote_categorizer import CascadeCategorizer, RemoteCategorizer, read_definitions

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
