"""The states of a frozen backbone, row by row, and the store of them on disk."""

import json
import os
import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch

from kadapter import StorageError, UnknownNameError
from kadapter.features import FeatureStore, FrozenStates, RowSet, folder, rows_of
from kadapter.testing import SENTENCES, tiny_backbone, tiny_batch
from kadapter.testing.comparing import assert_close, assert_same

READS, BORROWS = frozenset({0, 2, 4}), frozenset({2, 3})
OTHERS = ("the old bridge", "boats of the town run by", "nobody knows the bridge", "a small river is by the town")


@pytest.fixture
def llama(tiny):
    return tiny("llama")


@pytest.fixture
def batch(llama):
    return tiny_batch(llama)


@pytest.fixture
def rows(llama, batch):
    return RowSet(rows_of(batch, llama.accepts), ["input_ids"])


@pytest.fixture
def other_rows(llama):
    return RowSet(rows_of(tiny_batch(llama, OTHERS), llama.accepts), ["input_ids"])


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of a row or two."""
    monkeypatch.setattr(folder, "SHARD", 6 * 32 * 4)


@pytest.fixture
def counted(llama, monkeypatch):
    """The numbers of the layers that ran, each time that they did."""
    ran = []
    hooks = [
        layer.mlp.register_forward_hook(lambda *_, number=number: ran.append(number))
        for number, layer in enumerate(llama.layers, start=1)
    ]
    yield ran
    for hook in hooks:
        hook.remove()


@pytest.fixture
def fill(llama):
    """Fill a store with states of rows; give what computed, and the folder, which stays open."""
    with ExitStack() as stack:

        def filled(store, rows, states=READS, precision="float32"):
            frozen = FrozenStates(llama, precision)
            folders = stack.enter_context(store.opened(frozen, [rows]))
            store.fill(folders, frozenset(states), frozen)
            return folders[0]

        yield filled


def shards(place):
    return sorted(place.glob("*/*.safetensors"))


def contents(place):
    return {path.name: path.read_bytes() for path in shards(place)}


# --- rows


def test_rows_are_what_is_not_padding(llama):
    right, left = (rows_of(tiny_batch(llama, padding_side=side), llama.accepts) for side in ("right", "left"))
    expected = [llama.tokenizer(sentence)["input_ids"] for sentence in SENTENCES]
    assert [row.tolist() for row in right] == [row.tolist() for row in left] == [[tokens] for tokens in expected]


def test_other_inputs_of_the_backbone_are_part_of_a_row(tiny):
    backbone = tiny("bert")
    tokens = torch.tensor([[5, 6, 7], [5, 6, 7]])
    kinds = torch.tensor([[0, 0, 1], [0, 1, 1]])
    rows = rows_of({"labels": tokens, "token_type_ids": kinds, "input_ids": tokens}, backbone.accepts)
    assert [row.tolist() for row in rows] == [[[5, 6, 7], [0, 0, 1]], [[5, 6, 7], [0, 1, 1]]]
    assert len(RowSet(rows, ["input_ids", "token_type_ids"]).rows) == 2


@pytest.mark.parametrize(
    "strange",
    [
        pytest.param({"attention_mask": torch.tensor([[1, 0, 1]])}, id="a hole"),
        pytest.param({"attention_mask": torch.tensor([[0, 0, 0]])}, id="nothing"),
        pytest.param({"attention_mask": torch.ones(1, 1, 3, 3)}, id="who sees whom"),
        pytest.param({"inputs_embeds": torch.ones(1, 3, 32)}, id="vectors"),
        pytest.param({"position_ids": torch.tensor([0, 1, 2])}, id="for no row"),
    ],
)
def test_what_is_not_rows_goes_through_the_backbone_as_it_is(llama, strange):
    batch = {"input_ids": torch.tensor([[5, 6, 7]]), **strange}
    assert rows_of(batch, llama.accepts) is None


def test_a_set_of_rows_has_an_order_of_its_own(llama, rows):
    twice = rows_of(tiny_batch(llama, [*reversed(SENTENCES), SENTENCES[0]]), llama.accepts)
    again = RowSet(twice, ["input_ids"])
    assert again.content_hash == rows.content_hash
    assert [row.tolist() for row in again.rows] == [row.tolist() for row in rows.rows]
    assert RowSet(twice, ["other"]).content_hash != rows.content_hash
    assert RowSet(twice[:3], ["input_ids"]).content_hash != rows.content_hash


# --- states that do not depend on what a row is batched with


@pytest.mark.parametrize("family", ["bart", "bert", "bloom", "gpt2", "llama", "modernbert", "mixtral", "roberta", "t5"])
def test_states_and_calls_are_the_backbones(tiny, family):
    backbone = tiny(family)
    # On the left where a family is padded there: BART, say, would number its tokens otherwise.
    batch = tiny_batch(backbone, padding_side="left" if backbone.info.causal else "right")
    real = batch["attention_mask"].bool()
    expected, actual = backbone(batch, READS, BORROWS), FrozenStates(backbone)(batch, READS, BORROWS)
    for state in READS:
        assert_close(actual[state][real], expected[state][real], f"state {state}")
    for number in BORROWS:
        hidden = torch.randn(*real.shape, 32)
        again, once = (
            states.calls[number].repeat(backbone.layers[number - 1], hidden) for states in (actual, expected)
        )
        assert_same(again, once, f"layer {number}")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "roberta", "t5"])
def test_batch_mates_and_padding_do_not_move_a_bit(tiny, family, precision):
    backbone = tiny(family)
    frozen = FrozenStates(backbone, precision)
    whole = frozen(tiny_batch(backbone, [*SENTENCES, *OTHERS]), READS)
    if not frozen.apart:
        pytest.skip("the matrix kernels of this processor work on the tokens of a batch together")
    for number, sentence in enumerate(SENTENCES):
        alone = frozen(tiny_batch(backbone, [sentence]), READS)
        for state in READS:
            assert_same(whole[state][number][whole.attention_mask[number]], alone[state][0], f"{sentence}, {state}")


def assert_rows_are_apart(backbone, tokens):
    frozen = FrozenStates(backbone)
    rows = [np.full((1, tokens), number) for number in range(5, 25)]
    together = frozen.computed(rows, ["input_ids"], READS)
    for number in (0, len(rows) - 1):
        alone = frozen.computed([rows[number]], ["input_ids"], READS)
        for state in READS:
            assert_same(together[state][number], alone[state][0], f"state {state}")


@pytest.mark.parametrize("tokens", [1, 2, 3])
def test_nor_do_they_where_a_text_is_a_word_or_two(llama, tokens):
    assert_rows_are_apart(llama, tokens)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [3, 5, 11])
def test_nor_do_they_where_two_threads_share_them(minilm, tokens):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_rows_are_apart(minilm, tokens)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_weights_that_were_cast_once_change_no_bit(tiny, family):
    backbone = tiny(family)
    batch, before = tiny_batch(backbone), {name: weight.clone() for name, weight in backbone.state_dict().items()}
    frozen = FrozenStates(backbone, "bfloat16")
    for _ in range(2):
        given = frozen(batch, READS)
        for row, tokens in enumerate(rows_of(batch, backbone.accepts)):
            with torch.autocast("cpu", torch.bfloat16):
                plain = backbone({"input_ids": torch.from_numpy(tokens)}, READS)
            real = batch["attention_mask"][row].bool()
            for state in READS:
                assert_same(given[state][row][real], plain[state][0].bfloat16().float(), f"state {state}")
        after = backbone.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before), "weights are given back"
        with torch.no_grad():
            for name, weight in after.items():
                weight.mul_(1.5 if weight.is_floating_point() else 1)
                before[name] = weight.clone()


def test_where_batch_mates_move_bits_it_is_the_backbones_own_pass(tiny):
    backbone = tiny("mixtral")
    batch = tiny_batch(backbone)
    frozen = FrozenStates(backbone)
    actual, expected = frozen(batch, READS), backbone(batch, READS)
    assert frozen.apart is False
    for state in READS:
        assert_same(actual[state], expected[state], f"state {state}")


# --- kept on disk


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_kept_is_what_is_computed(llama, batch, rows, fill, counted, small_shards, tmp_path, precision):
    frozen = FrozenStates(llama, precision)
    computed = frozen(batch, READS, BORROWS)
    kept = fill(FeatureStore(tmp_path), rows, precision=precision)
    assert len(shards(tmp_path)) > len(READS)
    counted.clear()
    frozen.kept = (kept,)
    read = frozen(batch, READS, BORROWS)
    assert counted == [], "the backbone ran"
    for state in READS:
        assert_same(read[state], computed[state], f"state {state}")
    assert read.calls.keys() == computed.calls.keys()


def test_what_is_there_is_not_computed_again(rows, fill, counted, tmp_path):
    store = FeatureStore(tmp_path)
    fill(store, rows, {2})
    before = contents(tmp_path)
    counted.clear()
    fill(store, rows, {2})
    assert counted == []
    fill(store, rows, {1, 2})
    assert set(counted) == {1}, "to state 1 only one layer is needed"
    assert contents(tmp_path).items() > before.items()


def test_a_row_that_is_not_kept_is_computed(llama, batch, other_rows, fill, tmp_path):
    frozen = FrozenStates(llama)
    expected = frozen(batch, READS)
    frozen.kept = (fill(FeatureStore(tmp_path), other_rows),)
    for state in READS:
        assert_same(frozen(batch, READS)[state], expected[state], f"state {state}")


def test_what_a_store_costs_is_said_before_it_starts(rows, fill, tmp_path, capsys):
    fill(FeatureStore(tmp_path), rows)
    said = capsys.readouterr().err.splitlines()[0]
    assert said == (
        f"feature store: {rows.tokens * 3 * 128 / 1000:.3g} KB in {tmp_path}: {rows.tokens} tokens at 384 bytes for "
        f"states 0, 2, 4 in float32"
    )


# --- whatever happens


class Killed(BaseException):
    """Stands for the end of a process."""


def test_an_interrupted_build_is_resumed(llama, rows, fill, small_shards, monkeypatch, counted, tmp_path):
    fill(FeatureStore(tmp_path / "whole"), rows)
    compute, calls = FrozenStates.computed, []

    def killed_at_second(self, *arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise Killed
        return compute(self, *arguments)

    monkeypatch.setattr(FrozenStates, "computed", killed_at_second)
    with pytest.raises(Killed):
        fill(FeatureStore(tmp_path / "resumed"), rows)
    assert len(contents(tmp_path / "resumed")) == len(READS)
    fill(FeatureStore(tmp_path / "resumed"), rows)
    whole = contents(tmp_path / "whole")
    assert len(calls) == 1 + len(whole) // len(READS), "the first run of rows was computed twice"
    assert contents(tmp_path / "resumed") == whole


@pytest.mark.parametrize("harm", ["one byte", "cut short", "gone", "another's"])
def test_a_damaged_shard_is_computed_again_with_a_warning(rows, fill, small_shards, tmp_path, capsys, harm):
    store = FeatureStore(tmp_path)
    fill(store, rows)
    before, hurt = contents(tmp_path), shards(tmp_path)[1]
    content = bytearray(hurt.read_bytes())
    content[-1] ^= 1
    made = {"one byte": bytes(content), "cut short": bytes(content[:-8]), "another's": before[shards(tmp_path)[0].name]}
    # A file of its own, since what is mapped must not change.
    hurt.unlink()
    if harm in made:
        hurt.write_bytes(made[harm])
    assert [*store.damaged().values()] == [[hurt.name]]
    capsys.readouterr()
    fill(store, rows)
    assert f"{hurt} is damaged; it is computed again" in capsys.readouterr().err
    assert contents(tmp_path) == before
    assert [*store.damaged().values()] == [[]]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1}'])
def test_a_folder_that_says_nothing_of_use_is_filled_anew(rows, fill, tmp_path, text):
    store = FeatureStore(tmp_path)
    kept = fill(store, rows)
    (kept.path / "features.json").write_text(text)
    assert store.entries() == []
    fill(store, rows)
    assert [entry.states for entry in store.entries()] == [sorted(READS)]


def test_halves_that_a_kill_left_are_removed(rows, fill, tmp_path):
    store = FeatureStore(tmp_path)
    half = fill(store, rows).path / ".state-002-00000.safetensors.99.part"
    half.touch()
    fill(store, rows)
    assert not half.exists()


def test_one_writes_and_the_others_wait(llama, rows, fill, monkeypatch, tmp_path, capfd):
    """Locks on a file hold between threads as between processes."""
    compute, begun, go_on, calls = FrozenStates.computed, threading.Event(), threading.Event(), []

    def slowly(self, *arguments):
        calls.append(threading.current_thread().name)
        begun.set()
        assert go_on.wait(60)
        return compute(self, *arguments)

    monkeypatch.setattr(FrozenStates, "computed", slowly)
    found = {}
    store = FeatureStore(tmp_path)
    first, second = (
        threading.Thread(target=lambda name=name: found.update({name: fill(store, rows)}), name=name)
        for name in ("first", "second")
    )
    first.start()
    assert begun.wait(60)
    second.start()
    while "waiting for it" not in (said := capfd.readouterr().err):
        assert second.is_alive(), said
    go_on.set()
    first.join()
    second.join()
    assert calls == ["first"]
    for row in rows.rows:
        assert_same(found["first"].get(row, 2), found["second"].get(row, 2), "state 2")


def test_several_share_the_work(rows, fill, small_shards, monkeypatch, tmp_path):
    fill(FeatureStore(tmp_path / "whole"), rows)
    compute, calls, meeting = FrozenStates.computed, [], threading.Barrier(2)

    def together(self, some, *arguments):
        calls.append((threading.current_thread().name, [row.tobytes() for row in some]))
        if sum(name == threading.current_thread().name for name, _ in calls) == 1:
            # Each begins only when the other has a shard of its own.
            meeting.wait(60)
        return compute(self, some, *arguments)

    monkeypatch.setattr(FrozenStates, "computed", together)
    store = FeatureStore(tmp_path / "shared")
    both = [threading.Thread(target=fill, args=(store, rows), name=name) for name in ("first", "second")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert {name for name, _ in calls} == {"first", "second"}
    made = [row for _, some in calls for row in some]
    assert sorted(made) == sorted(row.tobytes() for row in rows.rows), "a row was computed twice, or not at all"
    assert contents(tmp_path / "shared") == contents(tmp_path / "whole")


# --- budgets


def test_what_was_used_least_recently_goes(rows, other_rows, fill, llama, tmp_path):
    store = FeatureStore(tmp_path)
    frozen, keys = FrozenStates(llama), []
    for kept in (rows, other_rows):
        with store.opened(frozen, [kept]) as folders:
            store.fill(folders, READS, frozen)
            keys.append(folders[0].path.name)
    os.utime(tmp_path / keys[1] / "features.json", (1, 1))
    assert [entry.key for entry in store.entries()] == keys
    sizes = {entry.key: entry.bytes for entry in store.entries()}
    small = FeatureStore(tmp_path, limit=str(sum(sizes.values()) + 100))
    fill(small, RowSet(rows.rows[:2], ["input_ids"]))
    assert {entry.key for entry in small.entries()} > {keys[0]}
    assert keys[1] not in {entry.key for entry in small.entries()}


def test_what_is_in_use_stays(rows, other_rows, fill, tmp_path):
    store = FeatureStore(tmp_path)
    kept = fill(store, rows)
    [entry] = store.entries()
    assert entry.busy
    with pytest.raises(StorageError, match=r"may take 3 KB, and .* more are needed beside .* raise --store-limit"):
        fill(FeatureStore(tmp_path, "3KB"), other_rows)
    with pytest.raises(StorageError, match=f"a run uses '{entry.key}'"):
        store.remove()
    assert kept.get(rows.rows[0], 2) is not None
    assert [entry.key for entry in store.entries()] == [kept.path.name]


def test_a_user_that_died_does_not_block(rows, llama, tmp_path):
    store, frozen = FeatureStore(tmp_path), FrozenStates(llama)
    with store.opened(frozen, [rows]) as folders:
        store.fill(folders, READS, frozen)
        key = folders[0].path.name
    (tmp_path / ".used" / f"{key}.0123").touch()
    [entry] = store.entries()
    assert not entry.busy
    assert store.remove([key]) == [entry]
    assert list(tmp_path.glob("[!.]*")) == []


def test_a_mark_that_cannot_be_touched_is_somebodys(rows, llama, tmp_path):
    store = FeatureStore(tmp_path)
    with store.opened(FrozenStates(llama), [rows]) as folders:
        store.fill(folders, frozenset({2}), FrozenStates(llama))
        key = folders[0].path.name
    # Whoever it is, even root cannot open a folder as a file.
    (tmp_path / ".used" / f"{key}.0123").mkdir()
    assert [entry.busy for entry in store.entries()] == [True]
    with pytest.raises(StorageError, match=f"a run uses '{key}'"):
        store.remove([key])


def test_files_that_come_and_go_do_not_disturb_a_list(rows, fill, tmp_path, monkeypatch):
    store, is_file = FeatureStore(tmp_path), Path.is_file
    half = fill(store, rows).path / ".state-002-00000.safetensors.99.part"
    [before] = store.entries()
    half.touch()

    def gone_when_looked_at(path):
        there = is_file(path)
        if path == half:
            half.unlink()
        return there

    monkeypatch.setattr(Path, "is_file", gone_when_looked_at)
    assert [entry.bytes for entry in store.entries()] == [before.bytes]


def test_a_key_may_be_said_twice(rows, llama, tmp_path):
    store, frozen = FeatureStore(tmp_path), FrozenStates(llama)
    with store.opened(frozen, [rows]) as folders:
        store.fill(folders, frozenset({2}), frozen)
        key = folders[0].path.name
    assert [entry.key for entry in store.remove([key, key])] == [key]


def test_nothing_goes_for_what_would_not_fit_all_the_same(rows, other_rows, llama, tmp_path, monkeypatch):
    store, frozen = FeatureStore(tmp_path), FrozenStates(llama)
    with store.opened(frozen, [rows]) as folders:
        store.fill(folders, READS, frozen)
    before = contents(tmp_path)
    with store.opened(frozen, [other_rows]) as folders, pytest.raises(StorageError, match="raise --store-limit"):
        FeatureStore(tmp_path, "3KB").fill(folders, READS, frozen)
    monkeypatch.setattr(FeatureStore, "_free", lambda self: -1_000_000)
    with store.opened(frozen, [other_rows]) as folders, pytest.raises(StorageError, match="choose another --store"):
        store.fill(folders, READS, frozen)
    assert contents(tmp_path) == before


def test_what_is_half_filled_needs_room_for_the_other_half_only(rows, llama, small_shards, tmp_path, capsys):
    store, frozen = FeatureStore(tmp_path), FrozenStates(llama)
    with store.opened(frozen, [rows]) as folders:
        store.fill(folders, READS, frozen)
        whole = store.entries()[0].bytes
        # The last shard of the last state, which comes last in the list too.
        shards(tmp_path)[-1].unlink()
        note = folders[0].path / "features.json"
        said = json.loads(note.read_text())
        said["shards"].popitem()
        note.write_text(json.dumps(said))
        capsys.readouterr()
        FeatureStore(tmp_path, str(whole + 100)).fill(folders, READS, frozen)
    tokens = rows.rows[-1].shape[1]
    assert capsys.readouterr().err.startswith(f"feature store: {tokens * 128 / 1000:.3g} KB in")


def test_a_disk_that_is_full_is_said_before(rows, fill, tmp_path, monkeypatch):
    monkeypatch.setattr(FeatureStore, "_free", lambda self: 10)
    with pytest.raises(StorageError, match=r"has 10 B free; choose another --store, or train without \(--store off\)"):
        fill(FeatureStore(tmp_path), rows)
    assert shards(tmp_path) == []


def test_a_store_that_cannot_be_written_to_is_one_line(rows, fill, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot use feature store .*file.*; choose another --store"):
        fill(FeatureStore(tmp_path / "file"), rows)


def test_a_key_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="has no '0123'; it has none"):
        FeatureStore(tmp_path).remove(["0123"])


def test_the_key_follows_weights_data_and_precision(tiny, rows, other_rows, tmp_path):
    store = FeatureStore(tmp_path)
    keys = set()
    for backbone, kept, precision in [
        (tiny("llama"), rows, "float32"),
        (tiny("llama", 1), rows, "float32"),
        (tiny("llama"), other_rows, "float32"),
        (tiny("llama"), rows, "bfloat16"),
    ]:
        with store.opened(FrozenStates(backbone, precision), [kept]) as folders:
            keys.add(folders[0].path.name)
    assert len(keys) == 4


def _norm(model):
    model.norm.weight.mul_(2)


def _one_token(model):
    model.embed_tokens.weight[6].mul_(2)


def _a_little(model):
    model.layers[0].mlp.up_proj.weight.mul_(1 + 1e-6)


def _configuration(model):
    model.config.rms_norm_eps = 0.1


@pytest.mark.parametrize("changed", [_norm, _one_token, _a_little, _configuration])
def test_the_key_follows_what_the_fingerprint_does_not_see(rows, tmp_path, changed):
    backbone, store, keys = tiny_backbone("llama"), FeatureStore(tmp_path), set()
    for _ in range(2):
        with store.opened(FrozenStates(backbone), [rows]) as folders:
            keys.add(folders[0].path.name)
        with torch.no_grad():
            changed(backbone.model)
    assert len(keys) == 2


def test_the_default_place_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KADAPTER_CACHE", str(tmp_path))
    assert FeatureStore().place == tmp_path / "features"
    monkeypatch.setenv("KADAPTER_CACHE", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FeatureStore().place == tmp_path / ".cache" / "kadapter" / "features"


def test_who_has_no_home_has_a_place_all_the_same(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KADAPTER_CACHE", raising=False)
    monkeypatch.setattr("pathlib.Path.home", homeless)
    assert FeatureStore().place.name == "features"


def test_what_is_listed_is_what_is_there(llama, rows, fill, tmp_path):
    fill(FeatureStore(tmp_path), rows, {2, 4}, "bfloat16")
    [entry] = FeatureStore(tmp_path).entries()
    assert (entry.backbone, entry.fingerprint) == (llama.info.name, llama.info.fingerprint)
    assert (entry.precision, entry.states, entry.rows, entry.tokens) == ("bfloat16", [2, 4], 4, rows.tokens)
    written = json.loads((tmp_path / entry.key / "features.json").read_text())
    assert entry.bytes == sum(path.stat().st_size for path in (tmp_path / entry.key).iterdir())
    assert written["data"] == rows.content_hash
