"""From triples to a data set of sentences with spans: rows a second and peak memory, and how both grow.

    python benchmarks/data_sets.py --output benchmarks/results/data_sets.json

Random triples, 50 relations, five facts an entity, two phrasings; each build in a process of its own. `streamed` states
facts only, in constant memory; `denied` adds a false fact for each true one, which needs the graph in memory.
"""

from __future__ import annotations

import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

RELATIONS = 50


def main(
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    sizes: Annotated[str, typer.Option(help="Numbers of triples.")] = "10000,100000,1000000",
    measure: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Build a data set of each size in each way; print and write what it took."""
    if measure:
        print(json.dumps(measured(**json.loads(measure))))
        return
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in map(int, sizes.split(",")):
            write_graph(Path(folder), size)
            for name, options in {
                "streamed": {"negatives": 0, "num_proc": 1},
                "streamed, 2 processes": {"negatives": 0, "num_proc": 2},
                "denied": {"negatives": 1, "num_proc": 1},
            }.items():
                rows[f"{size:.0e} triples, {name}"] = in_process(Path(folder), size, options)
    text = json.dumps(
        {
            "setting": {"relations": RELATIONS, "facts an entity": 5, "phrasings": 2},
            "rows": rows,
            "machine": f"{platform.machine()}, 2 cores",
            "versions": {name: metadata.version(name) for name in ("kadapter", "datasets", "pyarrow")},
        },
        indent=2,
    )
    print(text)
    if output:
        output.write_text(text + "\n")


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


def in_process(folder: Path, size: int, options: dict[str, Any]) -> dict[str, Any]:
    """Measure one build in a process of its own."""
    said = json.dumps({"folder": str(folder), "size": size, **options})
    done = subprocess.run([sys.executable, __file__, "--measure", said], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


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


if __name__ == "__main__":
    typer.run(main)
