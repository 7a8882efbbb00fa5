"""A pruned fusion mixes, at each place, those members that were attended to most; the others are gone."""

import pytest
import torch
from kadapter_fusion.pruning import prune

from kadapter import ConfigError, load_adapter, save_adapter
from kadapter.testing import tiny_batch
from kadapter.testing.comparing import assert_close, assert_same, assert_same_tensors, features_of

PLACES = [f"{layer}-feedforward-norm" for layer in (1, 2, 3, 4)]

ATTENTION = {
    PLACES[0]: {"a": 0.2, "b": 0.3, "c": 0.5},
    PLACES[1]: {"a": 0.6, "b": 0.1, "c": 0.3},
    PLACES[2]: {"a": 0.3, "b": 0.3, "c": 0.4},
    PLACES[3]: {"a": 0.1, "b": 0.2, "c": 0.7},
}
"""Means over the places: a 0.3, b 0.225, c 0.475."""


@pytest.fixture
def fusion(built):
    return built()


def kept(fusion):
    return [tuple(fusion.members_at(place)) for place in PLACES]


def test_each_place_keeps_its_own_in_the_order_of_the_members(fusion):
    pruned = prune(fusion, ATTENTION, keep=2)
    assert kept(pruned) == [("b", "c"), ("a", "c"), ("a", "c"), ("b", "c")]
    assert tuple(pruned.members) == ("a", "b", "c")


def test_of_members_that_are_attended_to_as_much_the_first_is_kept(fusion):
    assert kept(prune(fusion, {place: dict.fromkeys("abc", 1 / 3) for place in PLACES}, keep=1)) == [("a",)] * 4


def test_everywhere_the_same_are_kept(fusion):
    pruned = prune(fusion, ATTENTION, keep=2, everywhere=True)
    assert kept(pruned) == [("a", "c")] * 4


def test_members_that_are_used_nowhere_are_gone(fusion):
    pruned = prune(fusion, ATTENTION, keep=2, everywhere=True)
    assert tuple(pruned.members) == tuple(pruned.config.members) == ("a", "c")
    assert not [name for name in pruned.state_dict() if name.startswith("members.b.")]


def test_everywhere_a_member_counts_where_it_is(built, members):
    """One that edits a single place is judged by that place, and is kept nowhere else."""
    more = {**members, "top": {"type": "standard", "preset": "pfeiffer", "size": 2, "leave_out": [1, 2, 3]}}
    attention = {**ATTENTION, PLACES[3]: {"a": 0.1, "b": 0.1, "c": 0.2, "top": 0.6}}
    pruned = prune(built(members=more), attention, keep=1, everywhere=True)
    assert kept(pruned) == [("c",), ("c",), ("c",), ("top",)]


@pytest.mark.parametrize("family", ["roberta", "t5"])
@pytest.mark.parametrize("everywhere", [False, True])
@torch.no_grad()
def test_it_is_the_fusion_with_weights_over_those_that_are_kept(built, tiny, monkeypatch, family, everywhere):
    fusion, batch = built(family), tiny_batch(tiny(family))
    attention = dict(zip(fusion.mixers, ATTENTION.values(), strict=True))
    pruned = prune(fusion, attention, keep=2, everywhere=everywhere)
    expected = features_of(pruned, tiny(family), batch)
    left_out = {place: [name not in pruned.members_at(place) for name in "abc"] for place in pruned.mixers}
    for place, mixer in fusion.mixers.items():
        monkeypatch.setattr(mixer, "forward", without(mixer, torch.tensor(left_out[place])))
    monkeypatch.setattr(fusion, "_fold", lambda *_: None)
    assert_close(features_of(fusion, tiny(family), batch), expected, "with the others masked")


def without(mixer, left_out):
    """The mixer's own formula, where some members get no weight."""

    def forward(asking, given, stream, temperature):
        scores = torch.einsum("btw,nbtw->btn", mixer.query(asking), mixer.key(given)) / temperature
        weights = scores.masked_fill(left_out, float("-inf")).softmax(-1)
        return stream + torch.einsum("btn,nbtw->btw", weights, given) @ mixer.value.T, weights

    return forward


def test_the_one_that_is_given_stays_as_it_is(fusion, tiny):
    batch, before = tiny_batch(tiny("roberta")), {name: tensor.clone() for name, tensor in fusion.state_dict().items()}
    features, config = features_of(fusion, tiny("roberta"), batch), fusion.config
    pruned = prune(fusion, ATTENTION, keep=1)
    with torch.no_grad():
        for weight in pruned.parameters():
            weight.add_(1)
    assert fusion.config == config
    assert_same_tensors(fusion.state_dict(), before, "after pruning")
    assert_same(features_of(fusion, tiny("roberta"), batch), features, "after pruning")


@pytest.mark.parametrize("mode", [True, False])
def test_it_is_in_the_mode_of_the_one_that_is_given(fusion, mode):
    pruned = prune(fusion.train(mode), ATTENTION)
    assert pruned.training is mode
    assert not any(member.training for member in pruned.members.values())
    assert {name for name, weight in pruned.named_parameters() if weight.requires_grad} == {
        name for name, _ in pruned.named_parameters() if name.startswith("mixers.")
    }


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_it_is_of_the_type_of_the_one_that_is_given(fusion, dtype):
    assert {weight.dtype for weight in prune(fusion.to(dtype), ATTENTION).parameters()} == {dtype}


def test_one_that_is_frozen_stays_so(fusion):
    assert not any(weight.requires_grad for weight in prune(fusion.requires_grad_(False), ATTENTION).parameters())


@pytest.mark.parametrize("keep", [3, 100])
def test_there_are_no_more_to_keep_than_there_are(fusion, tiny, keep):
    pruned, batch = prune(fusion, ATTENTION, keep=keep), tiny_batch(tiny("roberta"))
    assert kept(pruned) == [("a", "b", "c")] * 4
    expected = features_of(fusion, tiny("roberta"), batch)
    assert_same(features_of(pruned, tiny("roberta"), batch), expected, "with all of them")


@pytest.mark.parametrize("keep", [0, -1])
def test_nobody_to_keep_is_an_error(fusion, keep):
    with pytest.raises(ConfigError, match=f"keep is {keep}; it must be 1 or more"):
        prune(fusion, ATTENTION, keep=keep)


def test_a_place_that_was_not_measured_stays_as_it_is(fusion):
    pruned = prune(fusion, {PLACES[0]: ATTENTION[PLACES[0]]}, keep=1)
    assert kept(pruned) == [("c",), *[("a", "b", "c")] * 3]


def test_what_is_pruned_can_be_pruned_again(fusion):
    once = prune(fusion, ATTENTION, keep=2)
    again = {place: {name: ATTENTION[place][name] for name in once.members_at(place)} for place in PLACES}
    assert kept(prune(once, again, keep=1)) == [("c",), ("a",), ("c",), ("c",)]


def test_a_place_that_is_not_there_is_an_error(fusion):
    with pytest.raises(ConfigError, match="kept names place '9-output'"):
        prune(fusion, {**ATTENTION, "9-output": {"a": 1.0}})


def test_readers_are_pruned_at_the_output(built, readers, tiny):
    fusion, batch = built(members=readers), tiny_batch(tiny("roberta"))
    pruned = prune(fusion, {"output": {"low": 0.3, "high": 0.7}}, keep=1)
    assert (tuple(pruned.members), pruned.reads) == (("high",), (2, 4))
    expected = features_of(fusion.members["high"], tiny("roberta"), batch) @ fusion.mixers["output"].value.T
    assert_close(features_of(pruned, tiny("roberta"), batch), expected, "through the value matrix")


def test_a_pruned_one_is_saved_and_loaded_bit_for_bit(fusion, tiny, tmp_path):
    pruned, batch = prune(fusion, ATTENTION), tiny_batch(tiny("roberta"))
    save_adapter(tmp_path, pruned, "pruned")
    loaded = load_adapter(tmp_path, tiny("roberta").info).eval()
    assert loaded.config == pruned.config
    assert_same_tensors(loaded.state_dict(), pruned.state_dict(), "loaded")
    expected = features_of(pruned, tiny("roberta"), batch)
    assert_same(features_of(loaded, tiny("roberta"), batch), expected, "loaded")
