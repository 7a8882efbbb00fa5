import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadapter import ConfigError
from kadapter.sizes import bytes_of, in_words


@pytest.mark.parametrize(
    ("text", "size"),
    [("20GB", 20 * 10**9), ("1.5 tb", 15 * 10**11), ("500mb", 5 * 10**8), (" 3KB ", 3000), ("7", 7), ("7B", 7)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "20 GiB", "20G", "much", "1e9"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ConfigError, match=r"is no size; write it as 20GB, 500MB or 1\.5TB"):
        bytes_of(text)


@given(st.integers(0, 10**15))
def test_what_is_said_is_read_again(size):
    assert abs(bytes_of(in_words(size)) - size) <= 0.006 * size
