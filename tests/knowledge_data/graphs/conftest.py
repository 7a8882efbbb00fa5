import gzip

import pytest

from knowledge_data import DataError


@pytest.fixture
def file(tmp_path):
    """Writes a file, text or bytes; gzipped when its name says so."""

    def write(name, content):
        content = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


@pytest.fixture
def complaint():
    """Gives the one-line message with which something is refused."""

    def of(call, *args, **options):
        with pytest.raises(DataError) as caught:
            call(*args, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return of
