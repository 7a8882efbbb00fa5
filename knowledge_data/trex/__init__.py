"""The published T-REx dump: read as a stream, and made into the training data of K-Adapter's factual adapter."""

from knowledge_data.trex.build import TrexOptions, build_trex
from knowledge_data.trex.documents import Example, stream_examples

__all__ = ["Example", "TrexOptions", "build_trex", "stream_examples"]
