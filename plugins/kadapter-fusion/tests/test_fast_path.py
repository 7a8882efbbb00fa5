"""Folded into matrices, a fusion gives what it gives unfolded; it is folded where it can be, and never stale."""

import contextlib
import io
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kadapter import KnowledgeModel
from kadapter.testing import fill_randomly, tiny_batch
from kadapter.testing.comparing import assert_close, features_of


def slowly(fusion, backbone, batch):
    """What the formula gives as it stands: where there is a gradient, nothing is folded."""
    with torch.enable_grad():
        return with_gradient(fusion, backbone, batch).detach()


def with_gradient(fusion, backbone, batch):
    return fusion(backbone(batch, frozenset(fusion.reads), editor=fusion))


@contextlib.contextmanager
def unfolded(fusion):
    """Gives the places whose mixers are called inside this `with`."""
    called = []
    handles = [
        mixer.register_forward_hook(lambda *_, place=place: called.append(place))
        for place, mixer in fusion.mixers.items()
    ]
    yield called
    for handle in handles:
        handle.remove()


def folds(fusion, backbone):
    """The places that are folded in a pass without gradient."""
    with unfolded(fusion) as called:
        features_of(fusion, backbone, tiny_batch(backbone))
    return [place for place in fusion.mixers if place not in called]


def assert_fresh(fusion, backbone, rule):
    batch = tiny_batch(backbone)
    fast = features_of(fusion, backbone, batch)
    assert_close(fast, slowly(fusion, backbone, batch), rule)
    return fast


# --- the same numbers

member = st.fixed_dictionaries(
    {"type": st.just("standard"), "preset": st.sampled_from(["pfeiffer", "parallel", "double_seq_bn"])},
    optional={
        "size": st.integers(1, 9),
        "leave_out": st.sets(st.integers(1, 4), max_size=3).map(sorted),
        "activation": st.sampled_from(["relu", "gelu", "silu", "tanh"]),
        "scale": st.sampled_from([0.5, "learned"]),
        "places": st.sampled_from([["feedforward"], ["attention", "feedforward"]]),
    },
)
fusion_options = st.fixed_dictionaries(
    {"members": st.lists(member, min_size=1, max_size=4).map(lambda given: dict(zip("abcd", given, strict=False)))},
    optional={
        "query": st.booleans(),
        "key": st.booleans(),
        "value": st.booleans(),
        "temperature": st.floats(1, 50),
    },
)


@settings(max_examples=40)
@given(fusion_options, st.sampled_from(["roberta", "gpt2", "t5"]), st.integers(0, 99))
def test_numbers_are_those_of_the_formula(built, tiny, options, family, seed):
    # Where norms come first, no norm takes the sum of attention.
    for one in options["members"].values():
        if family != "roberta" and one["preset"] == "pfeiffer":
            one.pop("places", None)
    fusion, backbone = built(family, seed, **options), tiny(family)
    assert folds(fusion, backbone) == list(fusion.mixers)
    assert_fresh(fusion, backbone, "folded")


@pytest.mark.parametrize("family", ["roberta", "gpt2", "t5"])
def test_weights_are_those_of_the_formula(built, tiny, family):
    fusion, batch = built(family), tiny_batch(tiny(family))
    fusion.watched = fast = {}
    features_of(fusion, tiny(family), batch)
    fusion.watched = slow = {}
    slowly(fusion, tiny(family), batch)
    assert fast.keys() == slow.keys() == set(fusion.mixers)
    for place, weights in slow.items():
        for name, weight in weights.items():
            assert_close(fast[place][name], weight, f"{place} {name}")


# --- where it is folded


def test_every_place_is_folded_without_gradient(built, tiny):
    assert folds(built(), tiny("roberta")) == [f"{layer}-feedforward-norm" for layer in (1, 2, 3, 4)]


def test_nothing_is_folded_where_there_is_a_gradient(built, tiny):
    fusion = built()
    with unfolded(fusion) as called:
        slowly(fusion, tiny("roberta"), tiny_batch(tiny("roberta")))
    assert called == list(fusion.mixers)


def test_nothing_is_folded_in_training_mode(built, tiny):
    assert folds(built().train(), tiny("roberta")) == []


def test_nothing_is_folded_where_the_stream_goes_through_the_value_matrix(built, tiny):
    assert folds(built(residual="before"), tiny("roberta")) == []


@pytest.mark.parametrize("options", [{"norm_before": True}, {"norm_after": True}, {"train_norms": True}])
def test_a_member_with_norms_of_its_own_is_not_folded(built, tiny, members, options):
    other = {"type": "standard", "preset": "pfeiffer", "leave_out": [2], **options}
    fusion = built(members={**members, "other": other})
    assert folds(fusion, tiny("roberta")) == ["2-feedforward-norm"]
    assert_fresh(fusion, tiny("roberta"), "where not all places are folded")


def test_a_fusion_as_a_member_is_not_folded_but_folds_itself(built, tiny, members):
    fusion = built(members={"inner": {"type": "fusion", "members": members}, "beside": members["a"]})
    assert folds(fusion, tiny("roberta")) == []
    with unfolded(fusion.members["inner"]) as called:
        assert_fresh(fusion, tiny("roberta"), "a fusion of fusions")
    assert called == list(fusion.mixers)  # with gradient, once


def test_where_nobody_is_kept_the_backbone_stays(built, tiny):
    places = [f"{layer}-feedforward-norm" for layer in (1, 2, 3, 4)]
    fusion, batch = built(kept={place: [] for place in places}), tiny_batch(tiny("roberta"))
    with torch.no_grad():
        assert_close(features_of(fusion, tiny("roberta"), batch), tiny("roberta").model(**batch)[0], "nobody is kept")


# --- never stale


@pytest.fixture
def used(built, tiny):
    """A fusion that has been folded, and what it gave."""
    fusion = built()
    return fusion, features_of(fusion, tiny("roberta"), tiny_batch(tiny("roberta")))


@torch.no_grad()
def changed_in_place(fusion):
    for weight in fusion.parameters():
        weight.mul_(1.5)


@torch.no_grad()
def changed_beside_autograd(fusion):
    for weight in fusion.parameters():
        weight.data.mul_(1.5)


@torch.no_grad()
def member_changed_in_place(fusion):
    for weight in fusion.members["b"].parameters():
        weight.mul_(1.5)


def trained_a_step(fusion, backbone):
    optimizer = torch.optim.SGD(fusion.mixers.parameters(), lr=0.1)
    features = with_gradient(fusion, backbone, tiny_batch(backbone))
    (features * torch.arange(32)).mean().backward()
    optimizer.step()


def test_after_training_it_is_folded_anew(used, tiny):
    fusion, before = used
    trained_a_step(fusion.train(), tiny("roberta"))
    assert (assert_fresh(fusion.eval(), tiny("roberta"), "trained") - before).abs().max() > 1e-3


def test_a_step_in_evaluation_mode_is_seen(used, tiny):
    """Who trains without dropout need not switch modes."""
    fusion, before = used
    trained_a_step(fusion, tiny("roberta"))
    assert (assert_fresh(fusion, tiny("roberta"), "trained in evaluation mode") - before).abs().max() > 1e-3


@pytest.mark.parametrize("change", [changed_in_place, member_changed_in_place])
def test_a_change_in_place_is_seen(used, tiny, change):
    fusion, before = used
    change(fusion)
    assert (assert_fresh(fusion, tiny("roberta"), "changed in place") - before).abs().max() > 1e-3


@pytest.mark.parametrize("change", [changed_in_place, member_changed_in_place, changed_beside_autograd])
@pytest.mark.parametrize("mode", [True, False])
def test_a_switch_of_modes_folds_anew(used, tiny, change, mode):
    fusion, before = used
    change(fusion)
    fusion.train(mode).eval()
    assert (assert_fresh(fusion, tiny("roberta"), "switched") - before).abs().max() > 1e-3


@pytest.mark.parametrize("assign", [False, True])
def test_loaded_tensors_are_folded_anew(used, built, tiny, assign):
    fusion, before = used
    fusion.load_state_dict(built(seed=2).state_dict(), assign=assign)
    assert (assert_fresh(fusion, tiny("roberta"), "loaded") - before).abs().max() > 1e-3


@pytest.mark.parametrize("assign", [False, True])
def test_tensors_that_the_whole_model_loads_are_folded_anew(used, built, tiny, assign):
    fusion, before = used
    model = KnowledgeModel(tiny("roberta")).eval()
    model.plug("fusion", fusion)
    features_of(fusion, tiny("roberta"), tiny_batch(tiny("roberta")))
    other = {f"adapters.fusion.{name}": tensor for name, tensor in built(seed=2).state_dict().items()}
    model.load_state_dict(other, strict=False, assign=assign)
    assert (assert_fresh(fusion, tiny("roberta"), "loaded") - before).abs().max() > 1e-3


def test_a_parameter_that_is_replaced_is_seen(used, tiny):
    fusion, _ = used
    mixer = fusion.mixers["2-feedforward-norm"]
    mixer.value = torch.nn.Parameter(2 * mixer.value.detach())
    assert_fresh(fusion, tiny("roberta"), "another value matrix")


def test_a_copy_has_folds_of_its_own(used, built, tiny):
    fusion, before = used
    # The facts of the backbone hold its layers, which are not to be copied.
    copy = deepcopy(fusion, {id(fusion.backbone): fusion.backbone})
    copy.load_state_dict(built(seed=2).state_dict())
    assert (assert_fresh(copy, tiny("roberta"), "a copy that was changed") - before).abs().max() > 1e-3
    again = features_of(fusion, tiny("roberta"), tiny_batch(tiny("roberta")))
    torch.testing.assert_close(again, before, rtol=0, atol=0)


def test_it_can_be_pickled(used):
    fusion, _ = used
    fusion.backbone = None  # whose facts cannot
    torch.save(fusion, io.BytesIO())


# --- other types of numbers


@pytest.mark.parametrize("options", [{}, {"query": False}, {"key": False}, {"value": False}, {"temperature": 9.0}])
def test_another_type_of_numbers_is_folded_anew(built, options):
    from kadapter.testing import tiny_backbone

    backbone, fusion = tiny_backbone("roberta"), built(**options)
    batch = tiny_batch(backbone)
    in_float = features_of(fusion, backbone, batch)
    backbone.double(), fusion.double()
    in_double = features_of(fusion, backbone, batch)
    assert in_double.dtype == torch.float64
    torch.testing.assert_close(in_double, slowly(fusion, backbone, batch), rtol=1e-12, atol=1e-12)
    assert_close(in_float.double(), in_double, "in float32 and float64")


def test_bfloat16_is_folded(built):
    from kadapter.testing import tiny_backbone

    backbone, fusion = tiny_backbone("roberta").bfloat16(), built().bfloat16()
    batch = tiny_batch(backbone)
    assert folds(fusion, backbone) == list(fusion.mixers)
    given = features_of(fusion, backbone, batch)
    assert given.dtype == torch.bfloat16
    torch.testing.assert_close(given, slowly(fusion, backbone, batch), rtol=0.1, atol=0.1)


def test_what_is_folded_under_autocast_is_exact_without(built, tiny):
    fusion, batch = built(), tiny_batch(tiny("roberta"))
    with torch.autocast("cpu", torch.bfloat16):
        coarse = features_of(fusion, tiny("roberta"), batch)
    fine = assert_fresh(fusion, tiny("roberta"), "after a pass under autocast")
    torch.testing.assert_close(coarse.float(), fine, rtol=0.1, atol=0.1)


def test_what_is_folded_in_inference_mode_serves_without(built, tiny):
    fusion, batch = built(), tiny_batch(tiny("roberta"))
    with torch.inference_mode():
        features_of(fusion, tiny("roberta"), batch)
    assert_fresh(fusion, tiny("roberta"), "after a pass in inference mode")


def test_one_that_was_built_in_inference_mode_serves(built, tiny):
    with torch.inference_mode():
        fusion = built()
        fill_randomly(fusion, 3)
        features = features_of(fusion, tiny("roberta"), tiny_batch(tiny("roberta")))
    assert features.isfinite().all()
