"""Probes, which ask a model what it knows: one reader for each published set, and two kinds of rows for all."""

from knowledge_data.probes.bear import read_bear
from knowledge_data.probes.blimp import read_blimp
from knowledge_data.probes.facts import probe_facts
from knowledge_data.probes.lama import read_lama
from knowledge_data.probes.lm_kbc import read_lm_kbc
from knowledge_data.probes.numersense import read_numersense
from knowledge_data.probes.pararel import read_pararel
from knowledge_data.probes.rows import ClozeProbe, MinimalPair
from knowledge_data.probes.table import PROBES, Probe, ProbeReading, find_probe, read_probe

__all__ = [
    "PROBES",
    "ClozeProbe",
    "MinimalPair",
    "Probe",
    "ProbeReading",
    "find_probe",
    "probe_facts",
    "read_bear",
    "read_blimp",
    "read_lama",
    "read_lm_kbc",
    "read_numersense",
    "read_pararel",
    "read_probe",
]
