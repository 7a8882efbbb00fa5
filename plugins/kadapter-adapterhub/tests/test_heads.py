"""Heads that are one linear layer become heads of our tasks; others are listed with the reason."""

import json

import pytest
import torch
from safetensors.torch import save_file

from kadapter import KadapterError, KnowledgeModel
from kadapter.testing import tiny_batch

TAGS = ["O", "B-PER", "I-PER"]


@pytest.fixture
def with_head(exported):
    """Gives an exported folder with a head beside the adapter."""

    def add(tensors, model_class="BertAdapterModel", labels=TAGS, **config):
        folder = exported()
        label2id = {label: number for number, label in enumerate(labels)}
        described = {"name": "geo", "model_class": model_class, "config": None, "label2id": label2id}
        if config:
            described |= {"config": {"bias": True, "label2id": label2id, "num_labels": len(labels), **config}}
        (folder / "head_config.json").write_text(json.dumps(described))
        save_file(tensors, folder / "model_head.safetensors")
        return folder

    return add


def linear(path="heads.geo.1", outputs=3):
    return {f"{path}.weight": torch.randn(outputs, 32), f"{path}.bias": torch.randn(outputs)}


@pytest.mark.parametrize(
    ("config", "task", "options"),
    [
        ({"head_type": "tagging", "layers": 1}, "token-classification", {}),
        ({"head_type": "classification", "layers": 1}, "sequence-classification", {"pool": "first"}),
    ],
)
def test_a_linear_head_is_that_of_a_task(config, task, options, with_head, imported, tiny, tmp_path):
    tensors = linear()
    model = imported(with_head(tensors, **config))
    assert model.task.name == task
    assert {**model.task.config.__dict__, **options, "labels": tuple(TAGS)} == model.task.config.__dict__
    batch = tiny_batch(tiny("bert"))
    out = model(**batch)
    hidden = out.last_hidden_state if task == "token-classification" else out.last_hidden_state[:, 0]
    expected = torch.nn.functional.linear(hidden, *tensors.values())
    torch.testing.assert_close(out.logits, expected, rtol=0, atol=1e-6)
    saved = KnowledgeModel.from_pretrained(tmp_path / "ours" / "geo", backbone=tiny("bert"))
    assert torch.equal(saved(**batch).logits, out.logits)


def test_the_head_of_a_model_for_tokens_is_read(with_head, imported):
    model = imported(with_head(linear("classifier"), model_class="BertForTokenClassification"))
    assert model.task.config.labels == tuple(TAGS)


def test_labels_without_names_have_those_of_transformers(with_head, imported):
    model = imported(with_head(linear(), head_type="tagging", layers=1, label2id=None, labels=[], num_labels=3))
    assert model.task.config.labels == ("LABEL_0", "LABEL_1", "LABEL_2")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"head_type": "classification", "layers": 2}, "is one linear layer, and this one has 2"),
        ({"head_type": "classification", "layers": 1, "use_pooler": True}, "does not read the backbone's pooler"),
        ({"head_type": "classification", "layers": 1, "num_labels": 1}, "is no regression"),
        ({"head_type": "question_answering", "layers": 1}, "no task has exactly a head of type 'question_answering'"),
        ({"model_class": "RobertaForSequenceClassification"}, "no task has the head of RobertaForSequence"),
    ],
)
def test_another_head_is_skipped_and_said_why(config, reason, with_head, imported):
    tensors = {**linear(), **(linear("heads.geo.4") if config.get("layers") == 2 else {})}
    model = imported(with_head(tensors, **config))
    assert model.task is None
    adapter = model.adapters[model.plugged[0]]
    skipped = adapter.trained_on["imported"]["skipped"]
    assert skipped.keys() == tensors.keys()
    assert all(reason in said for said in skipped.values())


@pytest.mark.parametrize(
    ("options", "entries", "message"),
    [
        ({"num_labels": [3]}, {}, r"num_labels is \[3\], which is no number"),
        ({"num_labels": "3"}, {}, "num_labels is '3', which is no number"),
        ({"label2id": TAGS}, {}, r"label2id is \['O', .*\], which says no number for each label"),
        ({"label2id": {"O": [0]}}, {}, r"label2id is \{'O': \[0\]\}, which says no number for each label"),
        ({"label2id": None}, {"label2id": 5}, "label2id is 5, which says no number for each label"),
        ({}, {"config": ["tagging"]}, r"config is \['tagging'\], which is no mapping"),
        ({}, {"config": "tagging"}, "config is 'tagging', which is no mapping"),
    ],
)
def test_what_a_head_cannot_say_is_named(options, entries, message, with_head, imported, described, tmp_path):
    folder = with_head(linear(), model_class="BertForTokenClassification", head_type="classification", layers=1)
    described(folder / "head_config.json", options, **entries)
    with pytest.raises(KadapterError, match=message) as error:
        imported(folder)
    assert "head_config.json" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ours").exists()


def test_a_bias_of_no_label_is_an_error(with_head, imported):
    tensors = {"heads.geo.1.weight": torch.ones(3, 32), "heads.geo.1.bias": torch.tensor(0.0)}
    with pytest.raises(KadapterError):
        imported(with_head(tensors, head_type="tagging", layers=1))


def test_a_head_of_other_tensors_is_skipped(with_head, imported):
    model = imported(with_head({"heads.geo.1.weight": torch.ones(3, 32)}, head_type="tagging", layers=1))
    assert model.task is None
