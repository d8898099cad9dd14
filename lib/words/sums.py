"""Weighted sums of a table's rows, by the loop that scipy.sparse was compiled with."""

import importlib
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.words.numbers import F32

_PACKAGE, _MODULE = "scipy", "sparse/_sparsetools"


def _loaded() -> Any:
    """scipy's compiled module, without the package around it where that can be: to import it takes 0.1 s or more."""
    found = find_spec(_PACKAGE)
    home = Path(found.origin).parent if found and found.origin else Path()
    for path in (home / f"{_MODULE}{suffix}" for suffix in EXTENSION_SUFFIXES):
        if path.is_file():
            loader = ExtensionFileLoader("_sparsetools", str(path))
            spec = spec_from_loader(loader.name, loader)
            module = module_from_spec(spec) if spec else None
            if module is not None:
                loader.exec_module(module)
                return module
    return importlib.import_module(f"{_PACKAGE}.{_MODULE.replace('/', '.')}")


_TOOLS = _loaded()


def add_rows(sums: F32, table: F32, rows: npt.NDArray[np.int32], factors: F32, ends: npt.NDArray[np.int32]) -> None:
    """Add to each of n sums (n, c) its rows of a table (t, c), each times its factor, one after the other.

    rows and factors: (e,), those of the first sum, of the second, ...; ends: (n + 1,) where those of each begin and
    the last end, so that ends[0] is 0 and ends[n] is e. The sums and the table are in C order.
    """
    if not (sums.flags.c_contiguous and table.flags.c_contiguous and sums.shape[1] == table.shape[1]):
        raise ValueError("the sums and the table differ in shape or order")
    _TOOLS.csr_matvecs(len(sums), len(table), table.shape[1], ends, rows, factors, table.ravel(), sums.ravel())
