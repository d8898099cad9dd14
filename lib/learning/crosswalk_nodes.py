"""The crosswalk from trees of categories, GS1's GPC and Open Food Facts', to this project's: gpc.csv and off.csv.

A row gives a node's id and a category of any level, as coarse as the node is; empty says that nothing can be said.
A node without a row takes its nearest ancestor's; of several equally near, the one whose row stands first in the file
(so 'canned' stands above 'fish'). The trees themselves are not part of this project: parents come with the call.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lib.errors import SettingsError
from lib.learning.crosswalk import FOLDER, rows_of
from lib.taxonomy import read_taxonomy

# The first column is the id; GPC's titles stand beside the codes, and serve as ids too.
FILES = {"gpc": ["code", "title", "category"], "off": ["id", "category"]}


@dataclass(frozen=True)
class Nodes:
    """A file of nodes: the category of each, in the file's order, by id and by title in small letters."""

    categories: Mapping[str, str]

    def category_of(self, node: str, parents: Mapping[str, Iterable[str]]) -> str:
        """The category of a node, or that of its nearest ancestor with a row; '' when none says any.

        For GPC, nodes may be codes or titles, whichever the parents have; a tree with a circle in it is no trouble.
        """
        seen, near = {node}, [node]
        while near:
            found = {key: self.categories[key] for key in map(str.lower, near) if key in self.categories}
            if found:
                return next(category for key, category in self.categories.items() if key in found)
            near = [parent for child in near for parent in parents.get(child, ())]
            near = [parent for parent in dict.fromkeys(near) if parent not in seen]
            seen.update(near)
        return ""


def read_nodes(name: str, *, to: Path = FOLDER) -> Nodes:
    """The nodes of folder/gpc.csv or off.csv.

    Raises SettingsError naming the file and line of the first mistake: an unknown category, an id that stands twice. A
    title that stands twice is no id.
    """
    path, known = to / f"{name}.csv", read_taxonomy()
    categories: dict[str, str] = {}
    titles: dict[str, list[str]] = {}
    for line, row in rows_of(path, FILES[name]):
        key = row[FILES[name][0]].lower()
        if not key or key in categories:
            raise SettingsError(f"{path} line {line}: {key!r} is empty or stands above already")
        if row["category"] and row["category"] not in known:
            raise SettingsError(f"{path} line {line}: {row['category']!r} is not in config/categories.csv")
        categories[key] = row["category"]
        titles.setdefault(row.get("title", "").lower(), []).append(row["category"])
    of_titles = {title: found[0] for title, found in titles.items() if title and len(found) == 1}
    return Nodes(categories | {title: category for title, category in of_titles.items() if title not in categories})
