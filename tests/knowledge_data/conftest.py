import gzip
import json
import shutil

import pytest

from knowledge_data import sample_path


@pytest.fixture
def source(tmp_path):
    """Copies a reader's sample, with the bytes of its main file replaced, and says what to read."""

    def write(reader, content, suffix=""):
        target = tmp_path / sample_path(reader).name
        if not sample_path(reader).is_dir():
            path = target.with_name(target.name + suffix)
            path.write_bytes(content)
            for beside in sample_path(reader).parent.glob(f"{target.stem}-*"):
                shutil.copy(beside, tmp_path)
            return path
        shutil.copytree(sample_path(reader), target)
        (target / "facts.tsv").unlink()
        (target / f"facts.tsv{suffix}").write_bytes(content)
        return target

    return write


@pytest.fixture
def edited(source):
    """Copies a JSON sample after a change to its decoded value, and gives the path."""

    def write(reader, edit):
        text = sample_path(reader).read_text()
        lines = reader in ("trex", "piqa")
        value = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
        edit(value)
        changed = "\n".join(map(json.dumps, value)) if lines else json.dumps(value)
        return source(reader, changed.encode())

    return write


@pytest.fixture
def zipped(source):
    """Copies a reader's sample with its main file gzipped, and gives the path."""

    def write(reader):
        path = sample_path(reader)
        main = path / "facts.tsv" if path.is_dir() else path
        return source(reader, gzip.compress(main.read_bytes()), suffix=".gz")

    return write
