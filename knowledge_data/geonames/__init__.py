"""The demo's knowledge: what GeoNames says of the world's countries, as a graph and as sentences."""

from knowledge_data.geonames.graph import country_graph
from knowledge_data.geonames.rows import geonames_rows, geonames_splits

__all__ = ["country_graph", "geonames_rows", "geonames_splits"]
