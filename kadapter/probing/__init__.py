"""What does a model know? Cloze questions and minimal pairs, asked with its adapters plugged and unplugged."""

from kadapter.probing.one_question import ask_one
from kadapter.probing.running import ProbeOptions, probe, probe_items

__all__ = ["ProbeOptions", "ask_one", "probe", "probe_items"]
