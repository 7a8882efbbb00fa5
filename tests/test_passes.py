"""Passes of the backbone: how many there are, where they begin and end, and that none of them disturbs another."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kadapter import Adapter, Composition, KnowledgeModel, Site, build_adapter
from kadapter.composition import build_composition
from kadapter.passes import run
from kadapter.testing import FAMILIES, SENTENCES, fill_randomly, tiny_backbone, tiny_batch
from kadapter.testing.comparing import assert_close, assert_same, assert_same_tensors, features_of

every_family = pytest.mark.parametrize("family", FAMILIES)
some_families = pytest.mark.parametrize("family", ["roberta", "gpt2", "llama", "t5", "opt", "bart"])
ALL_PLACES = ("attention", "attention-norm", "feedforward", "feedforward-norm", "output")


class Edits(Adapter):
    """Adds a small linear of what it finds and of what enters to all its sites; gives the sum of the states it reads.

    And, of a layer that it borrows, what a copy of that makes of the state below.
    """

    name = "edits"

    def __init__(self, backbone, sites, reads=(4,), borrows=(), dropout=0.0):
        super().__init__(None, backbone)
        self.edits = frozenset(site for site in sites if site in backbone.sites)
        self.reads, self.borrows, self.dropout = tuple(reads), tuple(borrows), nn.Dropout(dropout)
        width = backbone.width
        self.linears = nn.ModuleDict({f"{layer}-{place}": nn.Linear(2 * width, width) for layer, place in self.edits})
        self.copies = nn.ModuleDict({str(layer): backbone.copy_layer(layer) for layer in borrows})

    def edit(self, site, hidden, entering, norm):
        both = torch.cat([hidden, entering], -1)
        return norm(hidden + self.dropout(self.linears[f"{site.layer}-{site.place}"](both)).tanh())

    def forward(self, states):
        features = sum(states[state] for state in self.reads)
        for layer, copy in self.copies.items():
            features = features + states.calls[int(layer)].repeat(copy, states[int(layer) - 1])
        return features


def at(*layers, places=ALL_PLACES):
    """All sites of these layers."""
    return [Site(layer, place) for layer in layers for place in places]


def editing(backbone, *layers, seed=1, **more):
    """An adapter that edits all sites of these layers."""
    adapter = Edits(backbone.info, at(*layers), **more)
    fill_randomly(adapter, seed)
    return adapter.eval()


def reading(backbone, seed=2, **options):
    """An adapter that reads the clean pass; all its states unless options say something else."""
    adapter = build_adapter(options or {"type": "scalar-mix"}, backbone.info)
    fill_randomly(adapter, seed)
    return adapter.eval()


def model_of(backbone, composition="alone", **adapters):
    """A model with these plugged."""
    model = KnowledgeModel(backbone, build_composition({"name": composition}, backbone.info.width)).eval()
    for name, adapter in adapters.items():
        model.plug(name, adapter)
    return model


def parts(backbone):
    """In each layer a module that runs whenever the layer really runs."""
    return [backbone.info.sites.entrances[Site(layer, "attention")] for layer in range(1, backbone.info.layers + 1)]


@contextmanager
def ran(backbone):
    """Give a list that is filled with the numbers of the layers that run, in this order."""
    numbers = []
    hooks = [
        part.register_forward_pre_hook(lambda *_, number=number: numbers.append(number))
        for number, part in enumerate(parts(backbone), start=1)
    ]
    yield numbers
    for hook in hooks:
        hook.remove()


CLEAN = [1, 2, 3, 4]
COUNTED = {
    "one that edits, alone": ("alone", [[2]], [], CLEAN),
    "one that edits the top, alone": ("alone", [[4]], [], CLEAN),
    "one that edits, in a sum": ("sum", [[3]], [], [*CLEAN, 3, 4]),
    "one that edits the bottom, in a sum": ("sum", [[1, 3]], [], [*CLEAN, *CLEAN]),
    "two that edit": ("sum", [[2], [4]], [], [*CLEAN, 2, 3, 4, 4]),
    "one that edits and one that reads": ("sum", [[3]], [{"type": "scalar-mix"}], [*CLEAN, 3, 4]),
    "three of both": ("sum", [[3, 4], [4]], [{"type": "scalar-mix"}], [*CLEAN, 3, 4, 4]),
    "none": ("alone", [], [], CLEAN),
}


@pytest.mark.parametrize(("composition", "edited", "read", "expected"), COUNTED.values(), ids=COUNTED)
@pytest.mark.parametrize("family", ["roberta", "llama", "t5"])
@torch.no_grad()
def test_each_layer_runs_no_more_often_than_needed(tiny, family, composition, edited, read, expected):
    backbone = tiny(family)
    adapters = {f"edits-{number}": editing(backbone, *layers) for number, layers in enumerate(edited)}
    adapters |= {f"reads-{number}": reading(backbone, **options) for number, options in enumerate(read)}
    with ran(backbone) as numbers:
        output = model_of(backbone, composition, **adapters)(**tiny_batch(backbone))
    assert numbers == expected
    asked = composition != "alone" or not adapters
    assert (output.backbone_hidden_state is not None) == asked


@pytest.mark.parametrize(
    ("reads", "borrows", "expected"),
    [([0], [], []), ([1], [], [1]), ([3], [], [1, 2, 3]), ([2], [4], [1, 2, 3]), ([0, 4], [], CLEAN)],
)
@torch.no_grad()
def test_a_pass_of_its_own_ends_where_nothing_above_is_needed(tiny, reads, borrows, expected):
    backbone = tiny("roberta")
    adapter = Edits(backbone.info, at(1), reads)
    adapter.borrows = tuple(borrows)
    with ran(backbone) as numbers:
        features_of(adapter.eval(), backbone, tiny_batch(backbone))
    assert numbers == expected


class Difference(Composition):
    """What one adapter gives less what the other gives; looks at no state of the backbone itself."""

    name = "difference"
    reads_backbone = False

    def forward(self, hidden, features):
        return features["one"] - features["two"]


@torch.no_grad()
def test_a_clean_pass_that_is_only_a_trunk_ends_where_the_last_one_branches(tiny):
    backbone = tiny("gpt2")
    model = KnowledgeModel(backbone, Difference(None, 32)).eval()
    for name, layer in (("one", 3), ("two", 2)):
        model.plug(name, editing(backbone, layer, reads=[layer]))
    with ran(backbone) as numbers:
        output = model(**tiny_batch(backbone))
    assert numbers == [1, 2, 3, 2]
    assert output.backbone_hidden_state is None


# --- what a pass of its own gives


@contextmanager
def edited_by_hand(backbone, adapter):
    """Do in a pass of transformers what an adapter does, by plain hooks."""
    sites, entering, hooks = backbone.info.sites, {}, []

    def enter(site, module, arguments, options):
        entering[site] = arguments[0] if arguments else options["hidden_states"]

    def leave(site, module, arguments, options, output):
        hidden = output if isinstance(output, torch.Tensor) else output[0]
        given = entering[site] if site in entering else (arguments[0] if arguments else options["hidden_states"])
        shape = (-1, *tiny_batch(backbone)["input_ids"].shape[1:], hidden.shape[-1])
        edited = adapter.edit(site, hidden.reshape(shape), given.reshape(shape), lambda hidden: hidden)
        edited = edited.reshape(hidden.shape)
        return edited if isinstance(output, torch.Tensor) else (edited, *output[1:])

    def replace(site, module, arguments, options, output):
        norm = type(module).forward.__get__(module)
        return adapter.edit(site, arguments[0], arguments[0], norm)

    for site in adapter.edits:
        act = replace if site.place.endswith("-norm") else leave
        hooks.append(
            sites.modules[site].register_forward_hook(
                lambda *given, site=site, act=act: act(site, *given), with_kwargs=True
            )
        )
        if site in sites.entrances:
            hooks.append(
                sites.entrances[site].register_forward_pre_hook(
                    lambda *given, site=site: enter(site, *given), with_kwargs=True
                )
            )
    yield
    for hook in hooks:
        hook.remove()


@every_family
@pytest.mark.parametrize("layers", [(3,), (1, 4)])
@torch.no_grad()
def test_an_edited_pass_is_what_plain_hooks_make_of_the_model(tiny, family, layers):
    backbone = tiny(family)
    adapter, batch = editing(backbone, *layers), tiny_batch(backbone)
    features = features_of(adapter, backbone, batch)
    with edited_by_hand(backbone, adapter):
        expected = backbone.model(**batch).last_hidden_state
    assert_same(features, expected, "by hand")
    assert not torch.allclose(features, backbone.model(**batch).last_hidden_state, atol=1e-2)


@every_family
@pytest.mark.parametrize("place", ALL_PLACES)
@torch.no_grad()
def test_a_pass_that_branches_gives_what_a_whole_one_gives(tiny, family, place):
    backbone = tiny(family)
    if Site(3, place) not in backbone.info.sites:
        pytest.skip("no such place")
    batch, adapter = tiny_batch(backbone), Edits(backbone.info, at(3, places=[place]), reads=[4]).eval()
    fill_randomly(adapter)
    whole = features_of(adapter, backbone, batch)
    branched = model_of(backbone, "sum", edits=adapter, reads=reading(backbone))(**batch).features["edits"]
    assert_same(branched, whole, "beside one that reads")


@every_family
@torch.no_grad()
def test_states_and_calls_below_a_branch_are_those_of_a_whole_pass(tiny, family):
    backbone = tiny(family)
    batch = tiny_batch(backbone)
    adapter = editing(backbone, 3, 4, reads=[0, 1, 2, 3, 4], borrows=[2, 4])
    whole = features_of(adapter, backbone, batch)
    for neighbours in ({"reads": reading(backbone)}, {"edits": editing(backbone, 4, seed=5)}):
        with ran(backbone) as numbers:
            output = model_of(backbone, "sum", first=adapter, **neighbours)(**batch)
        assert_same(output.features["first"], whole, f"beside one that {[*neighbours]}")
        assert numbers[4:6] == [3, 4]


@torch.no_grad()
def test_a_state_after_an_edit_of_what_the_layer_gives_is_edited(tiny):
    backbone = tiny("bert")
    batch, site = tiny_batch(backbone), Site(2, "output")
    clean = backbone(batch, frozenset({1, 2}))
    adapter = Edits(backbone.info, [site], reads=[2]).eval()
    expected = adapter.edit(site, clean[2], clean[1], lambda hidden: hidden)
    assert_same(features_of(adapter, backbone, batch), expected, "state 2")


@torch.no_grad()
def test_a_norm_can_be_replaced_by_a_trained_copy(tiny):
    class Copies(Edits):
        def edit(self, site, hidden, entering, norm):
            return self.copy(hidden)

    backbone, site = tiny_backbone("bert"), Site(2, "feedforward-norm")
    batch, adapter = tiny_batch(backbone), Copies(backbone.info, [site])
    adapter.copy = backbone.info.sites.copy_norm(site)
    bare = backbone.model(**batch).last_hidden_state
    assert_same(features_of(adapter.eval(), backbone, batch), bare, "the copy as it was")
    fill_randomly(adapter.copy)
    features = features_of(adapter, backbone, batch)
    assert not torch.allclose(features, bare, atol=1e-2)
    own = backbone.info.sites.modules[site]
    own.load_state_dict(adapter.copy.state_dict())
    assert_same(features, backbone.model(**batch).last_hidden_state, "with the copy in the model itself")


# --- the laws


@every_family
@torch.no_grad()
def test_nobody_hears_an_edit_but_the_one_that_makes_it(tiny, family):
    backbone = tiny(family)
    batch = tiny_batch(backbone)
    bare = backbone.model(**batch).last_hidden_state
    adapters = {
        "reads": reading(backbone),
        "bottom": editing(backbone, 1, 2, seed=3),
        "layer": reading(backbone, type="k-adapter", reads=[1, 4], transformer_layers=1),
        "top": editing(backbone, 3, 4, seed=4),
    }
    alone = {name: features_of(adapter, backbone, batch) for name, adapter in adapters.items()}
    for order in (list(adapters), list(reversed(adapters))):
        for number in range(1, 5):
            model = model_of(backbone, "sum", **{name: adapters[name] for name in order[:number]})
            output = model(**batch)
            assert_same(output.backbone_hidden_state, bare, "the backbone's own")
            assert_same_tensors(output.features, {name: alone[name] for name in order[:number]}, f"{order[:number]}")
            assert_same(backbone.model(**batch).last_hidden_state, bare, "a pass of transformers alone")
            with model.unplugged():
                assert_same(model(**batch).last_hidden_state, bare, "unplugged")
    for name in order:
        model.unplug(name)
    assert_same(model(**batch).last_hidden_state, bare, "all are unplugged")


ANYWHERE = st.sets(st.sampled_from(at(1, 2, 3, 4)), min_size=1, max_size=4)
ANY_STATES = st.sets(st.integers(0, 4), min_size=1)
ANY_LAYERS = st.sets(st.integers(1, 4), max_size=2)
ANY_EDITOR = st.tuples(ANYWHERE, ANY_STATES, ANY_LAYERS)


@settings(max_examples=60)
@given(family=st.sampled_from(["bert", "falcon", "t5", "opt", "llama"]), editors=st.lists(ANY_EDITOR, max_size=3))
@torch.no_grad()
def test_whatever_is_plugged_everybody_gives_what_they_give_alone(tiny, family, editors):
    backbone = tiny(family)
    batch, adapters = tiny_batch(backbone), {"reads": reading(backbone)}
    for number, (sites, reads, borrows) in enumerate(editors):
        # To repeat the call of a layer, the state below is needed.
        reads = reads | {layer - 1 for layer in borrows}
        adapters[f"edits-{number}"] = Edits(backbone.info, sites, sorted(reads), sorted(borrows)).eval()
        fill_randomly(adapters[f"edits-{number}"], seed=number)
    alone = {name: features_of(adapter, backbone, batch) for name, adapter in adapters.items()}
    output = model_of(backbone, "sum", **adapters)(**batch)
    assert_same_tensors(output.features, alone, "side by side")
    assert_same(output.backbone_hidden_state, backbone.model(**batch).last_hidden_state, "the backbone's own")


@pytest.mark.parametrize("checkpointing", [False, True])
def test_threads_do_not_disturb_the_backward_passes_of_each_other(checkpointing):
    backbone = tiny_backbone("roberta")
    backbone.checkpointing = checkpointing
    batch = tiny_batch(backbone)

    def trained(seed):
        model = model_of(backbone, edits=editing(backbone, 2, seed=seed)).train()
        model(**batch).last_hidden_state.square().mean().backward()
        return {name: parameter.grad for name, parameter in model.adapters.named_parameters()}

    alone = [trained(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(trained, [*range(4)] * 5))
    for number, found in enumerate(together):
        assert_same_tensors(found, alone[number % 4], "gradients among others")


def test_threads_do_not_hear_the_edits_of_each_other(tiny):
    backbone = tiny("roberta")
    adapters = [None, editing(backbone, 1), editing(backbone, 2, 3, seed=5)]

    @torch.no_grad()
    def passed(work):
        adapter, batch = work
        return features_of(adapter, backbone, batch) if adapter else backbone.model(**batch).last_hidden_state

    works = [(adapter, tiny_batch(backbone, [sentence])) for sentence in SENTENCES for adapter in adapters] * 10
    alone = [passed(work) for work in works]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(passed, works))
    for one, other in zip(alone, together, strict=True):
        assert_same(other, one, "a pass among others")


@torch.no_grad()
def test_a_pass_that_failed_leaves_nothing_behind(tiny):
    class Fails(Edits):
        def edit(self, site, hidden, entering, norm):
            raise KeyError("inside")

    backbone = tiny("gpt2")
    batch = tiny_batch(backbone)
    bare = backbone.model(**batch).last_hidden_state
    with pytest.raises(KeyError, match="inside"):
        features_of(Fails(backbone.info, at(2)), backbone, batch)
    assert_same(backbone.model(**batch).last_hidden_state, bare, "the next pass")


@some_families
@torch.no_grad()
def test_a_deep_copy_of_a_model_is_its_own(family):
    backbone = tiny_backbone(family)
    batch, model = tiny_batch(backbone), model_of(backbone, "sum", edits=editing(backbone, 2), reads=reading(backbone))
    before = model(**batch)
    copy = deepcopy(model)
    assert_same_tensors(copy(**batch).features, before.features, "the copy")
    fill_randomly(model.backbone, seed=5)
    fill_randomly(model.adapters, seed=6)
    assert_same_tensors(copy(**batch).features, before.features, "the copy, when the original has changed")
    fill_randomly(copy.backbone, seed=5)
    fill_randomly(copy.adapters, seed=6)
    assert_same_tensors(copy(**batch).features, model(**batch).features, "the copy, changed in the same way")
    assert copy.backbone.info.sites.modules[Site(2, "output")] is copy.backbone.layers[1]


# --- gradients


@some_families
@pytest.mark.parametrize("beside", [False, True])
def test_a_backward_pass_ends_at_the_lowest_layer_that_is_edited(tiny, family, beside):
    backbone = tiny(family)
    entering = {}
    hooks = [
        part.register_forward_pre_hook(lambda _, given, n=n: entering.update({n: given[0].requires_grad}))
        for n, part in enumerate(parts(backbone), start=1)
    ]
    adapter = editing(backbone, 3, reads=[0, 1, 2, 4])
    neighbours = {"reads": reading(backbone)} if beside else {}
    model = model_of(backbone, "sum" if beside else "alone", edits=adapter, **neighbours).train()
    model(**tiny_batch(backbone)).features["edits"].sum().backward()
    for hook in hooks:
        hook.remove()
    assert entering == {1: False, 2: False, 3: False, 4: True}
    assert all(parameter.grad is not None for parameter in adapter.parameters())
    assert not any(parameter.grad is not None for parameter in backbone.parameters())


def gradients(model, batch, seed=0):
    """The loss and the gradient of every parameter that gets one, by name; of all layers' runs, the numbers."""
    torch.manual_seed(seed)
    model.zero_grad()
    with ran(model.backbone) as numbers:
        output = model(**batch).last_hidden_state
        loss = (output - torch.arange(32) / 32).square().mean()
        loss.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return loss.detach(), found, sorted(numbers)


def with_and_without(model, batch):
    """Gradients when all is kept, and when it is computed again."""
    usual = gradients(model, batch)
    model.gradient_checkpointing_enable()
    again = gradients(model, batch)
    model.gradient_checkpointing_disable()
    assert gradients(model, batch)[2] == usual[2]
    return usual, again


@every_family
@pytest.mark.parametrize("composition", ["alone", "sum"])
def test_what_is_computed_again_for_a_backward_pass_is_the_same(tiny, family, composition):
    backbone = tiny(family)
    model = model_of(backbone, composition, edits=editing(backbone, 2, 4, dropout=0.2)).train()
    usual, again = with_and_without(model, tiny_batch(backbone))
    assert_same(again[0], usual[0], "the loss")
    assert_same_tensors(again[1], usual[1], "gradients")
    assert usual[1].keys() >= {f"adapters.edits.{name}" for name, _ in model.adapters["edits"].named_parameters()}
    assert sorted([*usual[2], 2, 3, 4]) == again[2]


def test_an_adapter_hears_once_that_a_pass_begins(tiny, monkeypatch):
    """Before its edits, and not again when layers are computed again for the gradient."""
    backbone, heard = tiny("roberta"), []
    edited = editing(backbone, 1, 3)
    model = model_of(backbone, "sum", edited=edited, reading=reading(backbone))
    monkeypatch.setattr(edited, "edit", lambda *given: heard.append("edit") or Edits.edit(edited, *given))
    for name, adapter in model.adapters.items():
        monkeypatch.setattr(adapter, "begin", lambda name=name: heard.append(name))
    monkeypatch.setattr(backbone, "checkpointing", True)
    last = model.train()(**tiny_batch(backbone)).last_hidden_state
    edits = len(edited.edits)
    assert heard == ["edited", "reading", *["edit"] * edits]
    last.square().mean().backward()
    assert heard[edits + 2 :] == ["edit"] * len([site for site in edited.edits if site.place != "output"])


@pytest.mark.parametrize("composition", ["alone", "sum"])
@pytest.mark.parametrize("family", ["roberta", "gpt2", "t5", "mixtral"])
def test_it_is_the_same_when_the_backbone_is_trained_with_dropout(family, composition):
    backbone = tiny_backbone(family)
    backbone.thaw()
    model = model_of(backbone, composition, edits=editing(backbone, 3, dropout=0.2)).train()
    usual, again = with_and_without(model, tiny_batch(backbone))
    assert_same(again[0], usual[0], "the loss")
    assert usual[1].keys() == again[1].keys()
    assert any(name.startswith("backbone.") for name in usual[1])
    for name, gradient in usual[1].items():
        assert_close(again[1][name], gradient, name)
    # Everything gets a gradient, and so everything is computed again.
    assert again[2] == sorted([*usual[2], *usual[2]])
    other = gradients(model, tiny_batch(backbone), seed=1)
    assert not torch.equal(other[0], usual[0])


def kept(model, batch):
    """How many values a pass keeps for the backward pass, without those that are parameters."""
    sizes, own = {}, {parameter.data_ptr() for parameter in model.parameters()}

    def pack(tensor):
        if tensor.data_ptr() not in own:
            sizes[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(**batch)
    assert output.last_hidden_state.requires_grad
    return sum(sizes.values())


@pytest.mark.parametrize("thawed", [False, True])
def test_less_is_kept_when_it_is_computed_again(thawed):
    backbone = tiny_backbone("roberta")
    if thawed:
        backbone.thaw()
    model, batch = model_of(backbone, edits=editing(backbone, 4 if thawed else 1)).train(), tiny_batch(backbone)
    usual = kept(model, batch)
    model.gradient_checkpointing_enable()
    assert kept(model, batch) < usual / 2


def test_training_one_that_edits_moves_its_features_and_no_others(tiny):
    backbone = tiny("roberta")
    model = model_of(backbone, "sum", one=editing(backbone, 2), two=editing(backbone, 3, seed=5))
    batch = tiny_batch(backbone)
    before = model(**batch)
    model.train()(**batch).features["one"].square().mean().backward()
    with torch.no_grad():
        for parameter in model.adapters["one"].parameters():
            parameter.sub_(parameter.grad)
    after = model.eval()(**batch)
    assert_same(after.features["two"], before.features["two"], "the other one")
    assert_same(after.backbone_hidden_state, before.backbone_hidden_state, "the backbone")
    assert not torch.allclose(after.features["one"], before.features["one"], atol=1e-4)


@some_families
def test_a_backbone_that_is_trained_gets_the_same_gradient_through_a_branch(family):
    backbone = tiny_backbone(family)
    backbone.thaw()
    batch, found = tiny_batch(backbone), []
    for neighbours in ({}, {"reads": reading(backbone)}):
        model = model_of(backbone, "sum", edits=editing(backbone, 3, reads=[1, 4]), **neighbours)
        if not neighbours:
            model.recompose({"name": "alone"})
        model.zero_grad()
        model(**batch).features["edits"].square().mean().backward()
        found.append({name: p.grad.clone() for name, p in backbone.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        assert_close(found[1][name], gradient, name)


# --- several that edit, side by side


def side_by_side(backbone, exact, rows=None):
    """Features of three adapters that edit from the second layer on, of one from the fourth, and of one that reads."""
    adapters = {f"from-2-{number}": editing(backbone, 2, 4, seed=number) for number in range(3)}
    adapters |= {"from-4": editing(backbone, 4, seed=5, reads=(3, 4)), "reads": reading(backbone)}
    return run(backbone, tiny_batch(backbone), adapters, rows=rows, exact=exact)[1]


@every_family
@torch.no_grad()
def test_side_by_side_adapters_give_what_each_gives_alone(tiny, family):
    backbone = tiny(family)
    expected, rows = side_by_side(backbone, exact=True), torch.tensor([2, 0])
    for name, features in side_by_side(backbone, exact=False).items():
        assert_close(features, expected[name], name)
    asked = {name: rows[:1] if name == "from-2-1" else rows for name in expected}
    for name, features in side_by_side(backbone, exact=False, rows=asked).items():
        assert_close(features, expected[name][asked[name]], f"{name}, some rows")
    for name, features in side_by_side(backbone, exact=True, rows=asked).items():
        assert_close(features, expected[name][asked[name]], f"{name}, some rows, exact")


@torch.no_grad()
def test_side_by_side_the_trunk_runs_once_and_each_branching_once(tiny):
    backbone = tiny("roberta")
    with ran(backbone) as numbers:
        side_by_side(backbone, exact=False)
    assert numbers == [*CLEAN, 2, 3, 4, 4]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_side_by_side_gradients_are_those_that_each_gets_alone(tiny, checkpointing, monkeypatch):
    backbone = tiny("llama")
    monkeypatch.setattr(backbone, "checkpointing", checkpointing)
    found = []
    for exact in (True, False):
        adapters = {"one": editing(backbone, 3, seed=1), "two": editing(backbone, 3, 4, seed=2)}
        features = run(backbone, tiny_batch(backbone), adapters, exact=exact)[1]
        sum(f.square().mean() for f in features.values()).backward()
        found.append({f"{n}.{key}": p.grad for n, a in adapters.items() for key, p in a.named_parameters()})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        assert_close(found[1][name], gradient, name)
