"""From triples to a data set of sentences with spans: rows a second and peak memory, and how both grow.

Random triples, 50 relations, five facts an entity, two phrasings; each build in a process of its own. `streamed` states
facts only, in constant memory; `denied` adds a false fact for each true one, which needs the graph in memory.
"""

from __future__ import annotations

import os
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.reporting import in_process

RELATIONS = 50
SIZES = (10_000, 100_000, 1_000_000)
WAYS: dict[str, dict[str, Any]] = {
    "streamed": {"negatives": 0, "num_proc": 1},
    "streamed, 2 processes": {"negatives": 0, "num_proc": 2},
    "denied": {"negatives": 1, "num_proc": 1},
}


def measure(quick: bool) -> dict[str, Any]:
    """Build a data set of each size in each way."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in (500,) if quick else SIZES:
            write_graph(Path(folder), size)
            for name, options in WAYS.items():
                said = {"folder": folder, "size": size, **options}
                rows[f"{size:.0e} triples, {name}"] = in_process(__name__, said, apart=not quick)
    setting = {"relations": RELATIONS, "facts an entity": 5, "phrasings": 2}
    return {"setting": setting, "rows": rows, "drawn": "rows_per_second"}


def write_graph(folder: Path, size: int) -> None:
    """Write triples and templates."""
    random.seed(0)
    entities = size // 5
    with (folder / f"{size}.tsv").open("w") as file:
        for _ in range(size):
            subject, relation, object_ = (random.randrange(end) for end in (entities, RELATIONS, entities))
            file.write(f"Q{subject}\tP{relation}\tQ{object_}\n")
    said = (
        f'P{r}: ["{{subject}} stands in relation {r} to {{object}}.", "{{object}} is the {r} of {{subject}}."]\n'
        for r in range(RELATIONS)
    )
    (folder / "templates.yaml").write_text("".join(said))


def measured(folder: str, size: int, negatives: float, num_proc: int) -> dict[str, Any]:
    """Build, then open what was built; give what both took."""
    from knowledge_data import GraphOptions, build, read_built

    output = Path(folder, f"built-{size}-{negatives}-{num_proc}")
    options = GraphOptions(templates=f"{folder}/templates.yaml", negatives=negatives)
    load, started = os.getloadavg()[0], time.perf_counter()
    kept = sum(build(f"{folder}/{size}.tsv", output, options, num_proc=num_proc)["kept"].values())
    seconds = time.perf_counter() - started
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    started = time.perf_counter()
    read_built(output)
    return {
        # Of a machine that does other things too, only the processor's seconds say much.
        "load_before": round(load, 1),
        "rows": kept,
        "seconds": round(seconds, 2),
        "processor_seconds": round(sum(use.ru_utime + use.ru_stime for use in (own, others)), 2),
        "rows_per_second": round(kept / seconds),
        "peak_memory_mb": round(own.ru_maxrss / 1024),
        "peak_memory_of_a_worker_mb": round(others.ru_maxrss / 1024),
        "seconds_to_open_and_check": round(time.perf_counter() - started, 2),
    }
