"""The states of a frozen backbone, row by row: computed the same whatever a row is batched with, and kept on disk.

A row is what the backbone is told of one text, without padding. Its states are computed beside rows of the same length
only, so that no padding moves their last bits: a training that reads them from disk is the one that computes them.
"""

from kadapter.features.folder import Folder
from kadapter.features.frozen import FrozenStates
from kadapter.features.rows import Row, RowSet, input_names, rows_of
from kadapter.features.store import Entry, FeatureStore

__all__ = ["Entry", "FeatureStore", "Folder", "FrozenStates", "Row", "RowSet", "input_names", "rows_of"]
