"""The backbone's own language-model head: the family's own logits, bit for bit, and nobody else's business."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from kadapter import Backbone, BackboneError, KnowledgeModel, default_registry, load_backbone
from kadapter.task import build_task
from kadapter.testing import save_tiny_backbone, tiny_backbone, tiny_batch

MASKED = [
    "bert",
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "ernie",
    "megatron-bert",
    "modernbert",
    "mpnet",
    "roberta",
    "xlm-roberta",
]
CAUSAL = [
    "bloom",
    "falcon",
    "gemma",
    "gemma2",
    "gpt2",
    "gpt_neox",
    "granite",
    "llama",
    "mistral",
    "mixtral",
    "olmo2",
    "opt",
    "phi",
    "qwen2",
    "qwen3",
    "stablelm",
    "starcoder2",
]


def transformers_model(family, folder: Path):
    """The whole language model, as transformers loads it."""
    auto = AutoModelForCausalLM if family in CAUSAL else AutoModelForMaskedLM
    return auto.from_pretrained(save_tiny_backbone(family, folder, causal=family in CAUSAL))


@pytest.fixture
def saved(tmp_path):
    """A folder with a tiny BERT and its head."""
    return save_tiny_backbone("bert", tmp_path / "bert", causal=False)


def last_state(backbone, batch):
    return backbone(batch, frozenset({backbone.info.layers})).states[backbone.info.layers]


@pytest.mark.parametrize("family", MASKED + CAUSAL)
def test_the_head_gives_the_logits_of_the_familys_language_model_bit_for_bit(family, tmp_path):
    whole = transformers_model(family, tmp_path)
    backbone = load_backbone(tmp_path)
    batch = tiny_batch(backbone)
    with torch.no_grad():
        wanted = whole(**batch).logits
        assert torch.equal(backbone.lm_head(last_state(backbone, batch)), wanted)
    assert wanted.std() > 0.01


def test_some_tokens_alone_have_the_logits_that_they_have_among_all(saved):
    backbone = load_backbone(saved)
    hidden = last_state(backbone, tiny_batch(backbone))
    some = hidden[[0, 2], [3, 1]]
    logits = backbone.lm_head(hidden)
    torch.testing.assert_close(backbone.lm_head(some), logits[[0, 2], [3, 1]])


@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2", "llama"])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_no_token_has_no_logits(tiny, family, shape):
    backbone = tiny(family)
    assert backbone.lm_head(torch.zeros(*shape, 32)).shape == (*shape, len(backbone.tokenizer))


def test_a_tiny_backbone_has_the_head_of_its_family(tmp_path):
    save_tiny_backbone("roberta", tmp_path, causal=False)
    loaded, made = load_backbone(tmp_path), tiny_backbone("roberta")
    hidden = last_state(made, tiny_batch(made))
    assert made.info.fingerprint == loaded.info.fingerprint
    assert torch.equal(made.lm_head(hidden), loaded.lm_head(hidden))


def test_the_head_is_no_part_of_what_is_trained_or_saved(saved, tmp_path):
    backbone = load_backbone(saved)
    before = backbone.info, list(backbone.state_dict()), len(list(backbone.parameters()))
    assert not any(parameter.requires_grad for parameter in backbone.lm_head.parameters())
    assert (backbone.info, list(backbone.state_dict()), len(list(backbone.parameters()))) == before
    model = KnowledgeModel(backbone)
    model.save_pretrained(tmp_path / "model")
    assert model.own_tensors() == {}


def test_the_head_shares_the_embeddings_of_the_backbone_and_their_gradient(saved):
    backbone = load_backbone(saved)
    embeddings = backbone.model.get_input_embeddings().weight
    assert any(parameter is embeddings for parameter in backbone.lm_head.parameters())
    backbone.thaw()
    backbone.lm_head(torch.randn(2, 32)).sum().backward()
    assert embeddings.grad.any()
    assert [p.requires_grad for p in backbone.lm_head.parameters()].count(True) == 1


def test_a_head_asked_of_a_thawed_backbone_leaves_it_thawed(saved):
    backbone = load_backbone(saved)
    backbone.thaw()
    assert backbone.lm_head
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_the_head_moves_with_the_backbone(saved):
    backbone = load_backbone(saved)
    assert backbone.lm_head
    backbone.to(torch.bfloat16)
    hidden = last_state(backbone, tiny_batch(backbone))
    assert backbone.lm_head(hidden).dtype == torch.bfloat16
    later = load_backbone(saved).to(torch.bfloat16)
    assert torch.equal(later.lm_head(hidden), backbone.lm_head(hidden))


def test_a_copy_has_a_head_of_its_own(saved):
    backbone = load_backbone(saved)
    hidden = last_state(backbone, tiny_batch(backbone))
    before = backbone.lm_head(hidden)
    copied = deepcopy(backbone)
    with torch.no_grad():
        copied.model.get_input_embeddings().weight.zero_()
    assert torch.equal(backbone.lm_head(hidden), before)
    assert not torch.equal(copied.lm_head(hidden), before)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_a_family_without_such_a_head_says_so(family):
    with pytest.raises(BackboneError, match=rf"no masked language model over a backbone of family '{family}'"):
        assert tiny_backbone(family).lm_head


def test_a_checkpoint_without_the_heads_weights_says_so(tmp_path):
    backbone = load_backbone(save_tiny_backbone("bert", tmp_path))
    with pytest.raises(BackboneError, match=r"has no language-model head .*`head: fresh`") as raised:
        assert backbone.lm_head
    assert "\n" not in str(raised.value)


def test_a_backbone_made_of_a_bare_model_says_that_it_was_given_no_head():
    tiny = tiny_backbone("bert")
    with pytest.raises(BackboneError, match="was built without `language_model`"):
        assert Backbone(tiny.model, tiny.tokenizer, "bare").lm_head


def test_a_head_whose_files_are_gone_says_so(saved):
    backbone = load_backbone(saved)
    for path in saved.iterdir():
        path.unlink()
    with pytest.raises(BackboneError, match="cannot be loaded"):
        assert backbone.lm_head


@pytest.mark.parametrize("name", ["splade-tiny", pytest.param("smollm2", marks=pytest.mark.slow)])
def test_real_checkpoints_give_the_logits_of_transformers_bit_for_bit(name):
    try:
        backbone = load_backbone(name)
    except BackboneError as error:
        pytest.skip(str(error))
    auto = AutoModelForCausalLM if backbone.info.causal else AutoModelForMaskedLM
    whole = auto.from_pretrained(default_registry().backbones[name].locate(), dtype=torch.float32).eval()
    sentences = ["Paris is the capital of France.", "Bread is baked in the morning by the baker's eldest son."]
    batch = tiny_batch(backbone, sentences, padding_side="right")
    model = KnowledgeModel(backbone, task=build_task({"name": "causal-lm" if backbone.info.causal else "masked-lm"}))
    with torch.no_grad():
        wanted = whole(**batch).logits
        assert torch.equal(model.eval()(**batch).logits, wanted)
    model.plug("facts", {"type": "k-adapter", "reads": [1]})
    model.recompose({"name": "residual"})
    with torch.no_grad():
        assert torch.equal(model.eval()(**batch).logits, wanted), "an adapter that was never trained"
