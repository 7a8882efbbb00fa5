"""From a graph of any size to a data set in a folder, in constant memory where the options allow it."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from datasets import DatasetInfo

from knowledge_data.building.pieces import Piece, piece_name, whole_piece, write_piece
from knowledge_data.building.provenance import build_key, hash_inputs, provenance_of, read_build
from knowledge_data.errors import DataError
from knowledge_data.graphs.room import memory_needed
from knowledge_data.provenance import PROVENANCE, write_json
from knowledge_data.triples.objectives import Sayer, Statement
from knowledge_data.triples.options import GraphOptions
from knowledge_data.triples.rows import CHUNK, check_filled, chunks, plan
from knowledge_data.triples.splits import SPLITS

_Numbered = tuple[int, Sequence[Statement]]


def build(
    path: str | Path,
    output: str | Path,
    options: GraphOptions,
    seed: int = 0,
    num_proc: int = 1,
    told: Callable[[str], None] | None = None,
    piece: int = CHUNK,
) -> dict[str, Any]:
    """Build the data set of a graph in the folder `output`, and give its provenance.

    The folder appears when it is whole; `datasets.load_from_disk` and `read_built` read it. A build that was
    interrupted goes on where it was; one that is finished is not done again, as long as inputs, options and seed stay
    the same.

    Args:
        path: of the graph.
        output: a folder that is not there yet, or that of the same build.
        options: what is asked, and how. What `options.in_memory` names needs the whole graph in memory; without that
            triples are read as a stream, and lines that stand twice give their rows twice, in the same split.
        seed: of the split, the false facts and the phrasings.
        num_proc: how many processes say triples. The data set is the same for any number. Scripts that ask for more
            than one need `if __name__ == "__main__":`.
        told: called with a line when something takes memory, and with how far it is.
        piece: how many statements are said and written together.

    Raises:
        DataError: the graph, a side file or a template is not what it should be, a split is empty, or the folder
            holds something else or cannot be written.
    """
    path, output, told = Path(path), Path(output), told or (lambda _: None)
    if num_proc < 1 or piece < 1:
        raise DataError(f"num_proc is {num_proc}, piece {piece}", "give 1 or more of both")
    if options.split_by == "phrasing":
        fix = "let the source `graph` say the triples as they are read, or hold out something else"
        raise DataError("a data set that is built holds facts out, not phrasings", fix)
    inputs = hash_inputs(path, options)
    key = build_key(inputs, options, seed, piece)
    if output.exists():
        return _finished(output, key)
    _warn_of_memory(path, options, told)
    skipped = Counter[str]()
    sayer, statements = plan(path, options, seed, skipped)
    aside = output.with_name(f".{output.name}.building-{key}")
    _make(aside)
    pieces = _written(chunks(iter(statements), piece), sayer, aside, num_proc, told)
    said = {**provenance_of(inputs, options, seed, skipped, pieces), "key": key}
    return _finish(aside, output, pieces, sayer, said)


def _finished(output: Path, key: str) -> dict[str, Any]:
    """Give the provenance of what was built before, if it is the same."""
    try:
        there = read_build(output)
    except DataError:
        there = {}
    if there.get("key") == key:
        return there
    held = "another data set" if there else "something that was not built here"
    raise DataError(f"holds {held}", "choose another output, or remove it", where=str(output))


def _warn_of_memory(path: Path, options: GraphOptions, told: Callable[[str], None]) -> None:
    if options.in_memory:
        files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        need = memory_needed(file for file in files if file.exists())
        told(f"{', '.join(options.in_memory)}: needs the whole graph in memory, about {need / 1e6:,.0f} MB")


def _make(aside: Path) -> None:
    """Make the folder to build in, and remove those of builds of the same name with other inputs or options."""
    try:
        for other in aside.parent.glob(f"{aside.name.rpartition('-')[0]}-*"):
            if other != aside:
                shutil.rmtree(other, ignore_errors=True)
        aside.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
        raise DataError(problem, "choose another output", where=str(aside.parent)) from error


def _written(
    parts: Iterable[Sequence[Statement]], sayer: Sayer, folder: Path, num_proc: int, told: Callable[[str], None]
) -> list[Piece]:
    """Write every piece that is not there yet, and give all of them in order."""
    pieces: dict[int, Piece] = {}

    def missing() -> Iterator[_Numbered]:
        for number, chunk in enumerate(parts):
            there = whole_piece(number, folder)
            if there is None:
                yield number, chunk
            else:
                pieces[number] = there

    work = partial(write_piece, folder=folder, sayer=sayer)
    for piece in _mapped(work, missing(), num_proc):
        pieces[piece.number] = piece
        told(f"{sum(sum(piece.rows.values()) for piece in list(pieces.values())):,} rows")
    return [pieces[number] for number in sorted(pieces)]


def _mapped(work: Callable[[_Numbered], Piece], things: Iterator[_Numbered], num_proc: int) -> Iterator[Piece]:
    if num_proc == 1:
        yield from map(work, things)
        return
    # A fork would inherit the locks of threads that are not there any more. `imap` asks for the next thing when a
    # process has taken the one before, so that few are held.
    with multiprocessing.get_context("spawn").Pool(num_proc) as pool:
        yield from pool.imap(work, things)


def _finish(
    aside: Path, output: Path, pieces: Sequence[Piece], sayer: Sayer, provenance: dict[str, Any]
) -> dict[str, Any]:
    """Make the folder what `datasets` reads, write the provenance, and give it its final name."""
    check_filled(Counter(provenance["kept"]), Counter(provenance["dropped"]))
    for split in SPLITS:
        files = [f"{piece_name(piece.number)}.arrow" for piece in pieces if piece.rows.get(split)]
        state: dict[str, Any] = {
            "_data_files": [{"filename": file} for file in files],
            "_fingerprint": f"{provenance['content_hash']}{split}",
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": split,
        }
        write_json(aside / split / "state.json", state)
        DatasetInfo(features=sayer.kind.features()).write_to_directory(str(aside / split))
    write_json(aside / "dataset_dict.json", {"splits": list(SPLITS)})
    write_json(aside / PROVENANCE, provenance)
    for note in aside.glob("data-*.json"):
        note.unlink()
    try:
        os.rename(aside, output)
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
        raise DataError(problem, "choose another output", where=str(output)) from error
    return provenance
