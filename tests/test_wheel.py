"""A saved adapter becomes a package that pip installs."""

import json

import pytest

from kadapter import StorageError, weights_in


def describe(folder, **said):
    folder.mkdir(parents=True)
    (folder / "adapter.json").write_text(json.dumps(said))
    return folder


# --- weights in a folder


def test_weights_in_a_folder_are_found_by_the_backbone_that_they_say(tmp_path):
    one = describe(tmp_path / "any", backbone={"fingerprint": "a1"})
    two = describe(tmp_path / "name", backbone={"fingerprint": "b2"})
    (tmp_path / "no-adapter").mkdir()
    assert weights_in(tmp_path) == {"a1": one, "b2": two}
    assert weights_in(tmp_path / "not-there") == {}


@pytest.mark.parametrize("said", [{}, {"backbone": "minilm"}, {"backbone": {"fingerprint": None}}])
def test_weights_for_nobody_knows_which_backbone_are_refused(tmp_path, said):
    describe(tmp_path / "one", **said)
    with pytest.raises(StorageError, match=r"adapter\.json does not say the fingerprint of a backbone"):
        weights_in(tmp_path)


def test_two_weights_for_one_backbone_are_refused(tmp_path):
    for name in ("one", "two"):
        describe(tmp_path / name, backbone={"fingerprint": "a1"})
    with pytest.raises(StorageError, match=r"two and .*one hold adapters for the same backbone \(a1\); keep one"):
        weights_in(tmp_path)
