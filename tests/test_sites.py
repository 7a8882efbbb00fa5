"""Where a backbone can be edited: the sites of every family, and what an edit is given there."""

import inspect
from typing import NamedTuple

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModel, LlamaConfig, LlamaModel, OPTConfig, OPTModel
from transformers.models.bert.modeling_bert import BertOutput
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from kadapter import (
    Adapter,
    Backbone,
    BackboneAlias,
    BackboneError,
    KnowledgeModel,
    Registry,
    Site,
    hookimpl,
    load_backbone,
)
from kadapter.testing import FAMILIES, SENTENCES, save_tiny_backbone, tiny_backbone, tiny_batch, tiny_tokenizer
from kadapter.testing.comparing import assert_same

every_family = pytest.mark.parametrize("family", FAMILIES)


class Layout(NamedTuple):
    """Paths: of the list of layers in the model, of modules in a layer; with "+" in front, in the next layer."""

    layers: str
    attention: str
    attention_entrance: str
    attention_norm: str | None
    feedforward: str
    feedforward_entrance: str
    feedforward_norm: str
    final_norm: str | None = None
    """In the model: the norm that is called after the last layer."""


BERT = Layout(
    "encoder.layer",
    *("attention.output.dense", "attention.self.query", "attention.output.LayerNorm"),
    *("output.dense", "intermediate.dense", "output.LayerNorm"),
)
LLAMA = Layout(
    "layers",
    *("self_attn.o_proj", "self_attn.q_proj", "post_attention_layernorm"),
    *("mlp.down_proj", "mlp.gate_proj", "+input_layernorm", "norm"),
)
GEMMA2 = LLAMA._replace(feedforward_norm="post_feedforward_layernorm", final_norm=None)
FALCON = Layout(
    "h",
    *("self_attention.dense", "self_attention.query_key_value", None),
    *("mlp.dense_4h_to_h", "mlp.dense_h_to_4h", "+input_layernorm", "ln_f"),
)
MIXTURE = "block_sparse_moe" if transformers.__version__.startswith("4.") else "mlp"
LAYOUTS = {
    "bart": Layout(
        "layers",
        *("self_attn.out_proj", "self_attn.q_proj", "self_attn_layer_norm", "fc2", "fc1", "final_layer_norm"),
    ),
    "bert": BERT,
    "bloom": FALCON._replace(attention_norm="post_attention_layernorm"),
    "camembert": BERT,
    "deberta": BERT._replace(attention_entrance="attention.self.in_proj"),
    "deberta-v2": BERT._replace(attention_entrance="attention.self.query_proj"),
    "distilbert": Layout(
        "transformer.layer",
        *("attention.out_lin", "attention.q_lin", "sa_layer_norm", "ffn.lin2", "ffn.lin1", "output_layer_norm"),
    ),
    "electra": BERT,
    "ernie": BERT,
    "falcon": FALCON,
    "gemma": LLAMA,
    "gemma2": GEMMA2,
    "gpt2": Layout("h", "attn.c_proj", "attn.c_attn", "ln_2", "mlp.c_proj", "mlp.c_fc", "+ln_1", "ln_f"),
    "gpt_neox": Layout(
        "layers",
        *("attention.dense", "attention.query_key_value", "post_attention_layernorm"),
        *("mlp.dense_4h_to_h", "mlp.dense_h_to_4h", "+input_layernorm", "final_layer_norm"),
    ),
    "granite": LLAMA,
    "llama": LLAMA,
    "megatron-bert": BERT._replace(attention_norm="ln", feedforward_norm="+attention.ln", final_norm="encoder.ln"),
    "mistral": LLAMA,
    "mixtral": LLAMA._replace(feedforward=MIXTURE, feedforward_entrance=MIXTURE),
    "modernbert": Layout("layers", "attn.Wo", "attn.Wqkv", "mlp_norm", "mlp.Wo", "mlp.Wi", "+attn_norm", "final_norm"),
    "mpnet": BERT._replace(
        attention="attention.attn.o", attention_entrance="attention.attn.q", attention_norm="attention.LayerNorm"
    ),
    "olmo2": GEMMA2,
    "opt": Layout(
        "decoder.layers",
        *("self_attn.out_proj", "self_attn.q_proj", "final_layer_norm"),
        *("fc2", "fc1", "+self_attn_layer_norm", "decoder.final_layer_norm"),
    ),
    "phi": Layout(
        "layers",
        *("self_attn.dense", "self_attn.q_proj", None),
        *("mlp.fc2", "mlp.fc1", "+input_layernorm", "final_layernorm"),
    ),
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "roberta": BERT,
    "stablelm": LLAMA,
    "starcoder2": LLAMA._replace(feedforward="mlp.c_proj", feedforward_entrance="mlp.c_fc"),
    "t5": Layout(
        "block",
        *("layer.0.SelfAttention.o", "layer.0.SelfAttention.q", "layer.1.layer_norm"),
        *("layer.1.DenseReluDense.wo", "layer.1.DenseReluDense.wi", "+layer.0.layer_norm", "final_layer_norm"),
    ),
    "xlm-roberta": BERT,
}
POST_NORM = {
    *("bart", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "ernie", "mpnet"),
    *("roberta", "xlm-roberta"),
}


def path_of(layout, layer, inside):
    """The path in the model of a path in a layer."""
    number = layer if inside.startswith("+") else layer - 1
    return f"{layout.layers}.{number}.{inside.removeprefix('+')}"


def paths_of(layout, layer, last):
    """Place -> path in the model, in one layer."""
    inside = {
        "attention": layout.attention,
        "attention-norm": layout.attention_norm,
        "feedforward": layout.feedforward,
        "feedforward-norm": layout.feedforward_norm,
    }
    paths = {place: path_of(layout, layer, path) for place, path in inside.items() if path}
    if last and layout.final_norm:
        paths["feedforward-norm"] = layout.final_norm
    return {**paths, "output": f"{layout.layers}.{layer - 1}"}


class Spy(Adapter):
    """Edits nothing at all of its sites, and remembers what it was given there."""

    name = "spy"

    def __init__(self, backbone, edits):
        super().__init__(None, backbone.info)
        self.edits, self.reads, self.given = frozenset(edits), (backbone.info.layers,), {}

    def edit(self, site, hidden, entering, norm):
        assert site not in self.given
        self.given[site] = (hidden.clone(), entering.clone(), norm(hidden).clone())
        return norm(hidden)

    def forward(self, states):
        return states[self.reads[0]]


@torch.no_grad()
def spied(backbone, edits, batch):
    """Site -> hidden, entering, norm(hidden), as a spy is given them; and its features."""
    model, spy = KnowledgeModel(backbone).eval(), Spy(backbone, edits)
    model.plug("spy", spy)
    return spy.given, model(**batch).features["spy"]


@torch.no_grad()
def bare(backbone, batch, paths):
    """Path -> what the module there is given and gives in a pass of transformers alone; and its last state."""
    seen, modules = {}, dict(backbone.model.named_modules())

    def keep(path, arguments, options, output):
        # Some modules are called again with something else, and Falcon adds to what they gave where it lies.
        given = arguments[0] if arguments else options["hidden_states"]
        gave = output if isinstance(output, torch.Tensor) else output[0]
        seen.setdefault(path, (given.clone(), gave.clone()))

    hooks = [
        modules[path].register_forward_hook(
            lambda module, arguments, options, output, path=path: keep(path, arguments, options, output),
            with_kwargs=True,
        )
        for path in paths
    ]
    last = backbone.model(**batch).last_hidden_state
    for hook in hooks:
        hook.remove()
    return seen, last


def positioned(backbone, side):
    """A batch that says its positions, where the model takes any, so that transformers counts as we do."""
    batch = tiny_batch(backbone, SENTENCES, side)
    if "position_ids" in inspect.signature(backbone.model.forward).parameters:
        batch["position_ids"] = 2 + (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
    return batch


# --- what is found


@every_family
def test_the_sites_of_every_family_are_found(tiny, family):
    sites = tiny(family).info.sites
    for layer in (2, 4):
        found = {site.place: path for site, path in sites.paths.items() if site.layer == layer}
        assert found == paths_of(LAYOUTS[family], layer, last=layer == 4)
    modules = dict(tiny(family).model.named_modules())
    assert {site: modules[path] for site, path in sites.paths.items()} == sites.modules
    assert {site.layer for site in sites.modules} == {1, 2, 3, 4}


@every_family
def test_a_family_has_its_norms_after_the_sums_or_before_the_sublayers(tiny, family):
    assert tiny(family).info.sites.post_norm == (family in POST_NORM)


def tiny_opt(**options):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64}
    config = OPTConfig(vocab_size=127, word_embed_proj_dim=32, max_position_embeddings=64, **sizes, **options)
    return Backbone(OPTModel(config), tiny_tokenizer())


def test_one_family_can_have_its_norms_in_either_way():
    assert not tiny_opt().info.sites.post_norm
    sites = tiny_opt(do_layer_norm_before=False).info.sites
    assert sites.post_norm
    assert sites.paths[Site(2, "attention-norm")] == "decoder.layers.1.self_attn_layer_norm"
    assert sites.paths[Site(2, "feedforward-norm")] == "decoder.layers.1.final_layer_norm"


def test_a_gated_feedforward_is_entered_by_its_gate(tiny):
    backbone = tiny("llama")
    assert backbone.info.sites.entrances[Site(2, "feedforward")] is backbone.layers[1].mlp.gate_proj


def test_a_site_that_there_is_not_says_what_there_is(tiny):
    sites = tiny("falcon").info.sites
    said = r"layer 2 of the backbone has no place 'attention-norm'; found there: attention \(h.1.self_attention.dense\)"
    with pytest.raises(BackboneError, match=rf"{said}, .*output \(h.1\); name the modules .* `sites` of a BackboneAl"):
        sites.check(Site(2, "attention-norm"))
    with pytest.raises(BackboneError, match="layer 99 of the backbone has no place 'output'; found there: nothing"):
        sites.check(Site(99, "output"))
    assert Site(99, "output") not in sites
    assert Site(4, "output") in sites


# --- what is named


def registry_of(folder, **named):
    """The built-ins and aliases of a folder: name -> the sites that it names."""

    class Plugin:
        @hookimpl
        def register_backbones(self):
            return [
                BackboneAlias(name, locate=lambda: folder, licence="none", sites=sites) for name, sites in named.items()
            ]

    return Registry([], [Plugin()])


def test_an_alias_can_name_the_modules_of_a_layer(tmp_path):
    folder = save_tiny_backbone("bert", tmp_path)
    registry = registry_of(folder, whole={"attention": "attention"}, usual={"feedforward": "output.dense"})
    whole, usual = (load_backbone(name, registry) for name in ("whole", "usual"))
    assert usual.info.sites.paths == tiny_backbone("bert").info.sites.paths
    expected = {**usual.info.sites.paths, Site(2, "attention"): "encoder.layer.1.attention"}
    named = {site: path for site, path in whole.info.sites.paths.items() if site.place in ("attention", "feedforward")}
    assert named[Site(2, "attention")] == expected[Site(2, "attention")]
    assert named[Site(2, "feedforward")] == expected[Site(2, "feedforward")]
    assert Site(2, "attention-norm") not in whole.info.sites


@pytest.mark.parametrize("place", ["attention", "feedforward"])
def test_a_name_of_no_module_leaves_the_site_out(tmp_path, place):
    folder = save_tiny_backbone("bert", tmp_path)
    backbone = load_backbone("misnamed", registry_of(folder, misnamed={place: "output.no_such"}))
    other = {"attention": "feedforward", "feedforward": "attention"}[place]
    assert Site(2, place) not in backbone.info.sites
    said = rf"layer 2 .* no place '{place}'; found there: {other} \(encoder.layer.1.\S*output.dense\)"
    with pytest.raises(BackboneError, match=said):
        backbone.info.sites.check(Site(2, place))
    with pytest.raises(BackboneError, match=said):
        backbone.info.sites.copy_norm(Site(2, place))


class Mixing(LlamaDecoderLayer):
    """A layer whose attention is not called so."""

    self_attn = property(lambda self: self.mixer)


def mixing():
    """A Llama whose attention is called "mixer"."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    model = LlamaModel(LlamaConfig(vocab_size=127, max_position_embeddings=64, **sizes))
    for layer in model.layers:
        layer.mixer = layer._modules.pop("self_attn")
        layer.__class__ = Mixing
    return model


@torch.no_grad()
def test_an_attention_of_another_name_is_no_site_until_it_is_named():
    assert Site(2, "attention") not in Backbone(mixing(), tiny_tokenizer()).info.sites
    backbone = Backbone(mixing(), tiny_tokenizer(), sites={"attention": "mixer.o_proj"})
    assert backbone.info.sites.paths[Site(2, "attention")] == "layers.1.mixer.o_proj"
    batch, paths = tiny_batch(backbone), ["layers.1.mixer.q_proj", "layers.1.mlp.gate_proj"]
    given, _ = spied(backbone, [Site(2, "attention"), Site(2, "feedforward")], batch)
    seen, _ = bare(backbone, batch, paths)
    for place, path in zip(("attention", "feedforward"), paths, strict=True):
        assert_same(given[Site(2, place)][1], seen[path][0], f"what enters {place}")


class Twice(BertOutput):
    """Does everything twice."""

    def forward(self, hidden_states, input_tensor):
        return super().forward(hidden_states, super().forward(hidden_states, input_tensor))


def test_what_runs_several_times_in_a_layer_is_no_site():
    backbone = tiny_backbone("bert")
    backbone.layers[1].output.__class__ = Twice
    sites = Backbone(backbone.model, backbone.tokenizer).info.sites
    assert sites.paths[Site(1, "feedforward")] == "encoder.layer.0.output.dense"
    assert not {"encoder.layer.1.output.dense", "encoder.layer.1.output.LayerNorm"} & {*sites.paths.values()}


# --- copies of norms


@pytest.mark.parametrize("family", ["bert", "llama"])
@torch.no_grad()
def test_a_copied_norm_is_trainable_and_its_own(family):
    backbone = tiny_backbone(family)
    batch, site = tiny_batch(backbone), Site(2, "attention-norm")
    own = backbone.info.sites.modules[site]
    copy = backbone.info.sites.copy_norm(site)
    assert all(parameter.requires_grad for parameter in copy.parameters())
    assert not any(parameter.requires_grad for parameter in own.parameters())
    before = own.weight.clone()

    class Swaps(Spy):
        def edit(self, site, hidden, entering, norm):
            # A copy that were tapped would come back here.
            return super().edit(site, hidden, entering, copy)

    model, swaps = KnowledgeModel(backbone).eval(), Swaps(backbone, [site])
    model.plug("swaps", swaps)
    output = model(**batch)
    assert_same(output.features["swaps"], output.backbone_hidden_state, "with a copy of its norm")
    copy.weight.zero_()
    assert_same(own.weight, before, "the backbone's own norm")


# --- what an edit is given


@every_family
@pytest.mark.parametrize("side", ["right", "left"])
def test_an_edit_is_given_what_transformers_computes_there(tiny, family, side):
    backbone, layout = tiny(family), LAYOUTS[family]
    batch = positioned(backbone, side)
    sites = [site for site in backbone.info.sites.modules if site.layer in (2, 4)]
    given, features = spied(backbone, sites, batch)
    paths = {
        Site(layer, place): path for layer in (2, 4) for place, path in paths_of(layout, layer, layer == 4).items()
    }
    entrances = {Site(layer, "attention"): path_of(layout, layer, layout.attention_entrance) for layer in (2, 4)}
    entrances |= {Site(layer, "feedforward"): path_of(layout, layer, layout.feedforward_entrance) for layer in (2, 4)}
    seen, last = bare(backbone, batch, {*paths.values(), *entrances.values()})
    assert_same(features, last, "an edit that changes nothing")
    assert given.keys() == paths.keys()
    shape = (*batch["input_ids"].shape, 32)
    for site, got in given.items():
        took, gave = seen[paths[site]]
        if site.place.endswith("-norm"):
            expected = (took, took, gave)
        else:
            expected = (gave, seen[entrances.get(site, paths[site])][0], gave)
        for what, tensor, theirs in zip(("hidden", "entering", "norm(hidden)"), got, expected, strict=True):
            assert tensor.shape == shape
            assert_same(tensor, theirs.reshape(shape), f"{what} at {site}")


def test_what_enters_is_told_where_a_projection_is_used_again_for_positions():
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    relative = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8}
    config = AutoConfig.for_model("deberta-v2", vocab_size=127, share_att_key=True, **sizes, **relative)
    backbone = Backbone(AutoModel.from_config(config), tiny_tokenizer())
    batch, site = tiny_batch(backbone), Site(2, "attention")
    given, features = spied(backbone, [site], batch)
    seen, last = bare(backbone, batch, ["encoder.layer.1"])
    assert_same(given[site][1], seen["encoder.layer.1"][0], "what enters attention")
    assert_same(features, last, "an edit that changes nothing")


def test_a_model_that_is_a_backbone_twice_is_edited_once():
    backbone = tiny_backbone("bert")
    again = Backbone(backbone.model, backbone.tokenizer)
    batch, site = tiny_batch(again), Site(2, "output")
    # A spy that is asked twice about one site fails.
    given, _ = spied(again, [site, Site(2, "attention-norm")], batch)
    assert_same(given[site][0], spied(backbone, [site], batch)[0][site][0], "by both")
