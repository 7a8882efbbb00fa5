"""Sequence classification: texts and pairs of them, and the pooling that other tasks share."""

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict

from kadapter import ConfigError
from kadapter.task import build_task
from kadapter.testing import TaskContract, tiny_tokenizer

NAME = {"name": "sequence-classification"}
LABELS = ["no", "yes"]


def row_of(text, pair="", label="yes"):
    return {"text": text, "text_pair": pair, "label": label}


ROWS = Dataset.from_list(
    [
        row_of("the harbour is full of small boats", "a river runs by"),
        row_of("bread", label="no"),
        row_of("who painted the bridge ?", "nobody knows .", label="no"),
        row_of("old town"),
    ]
)


def encoded(tokenizer, *rows, **options):
    return build_task({**NAME, "labels": LABELS, **options}).encode(Dataset.from_list([*rows]), tokenizer)


class TestSequenceClassification(TaskContract):
    options = NAME
    families = ("roberta", "bert", "gpt2")


class TestSequenceClassificationByTheFirstToken(TaskContract):
    options = {**NAME, "pool": "first", "max_length": 6}


class TestSequenceClassificationByTheLastToken(TaskContract):
    options = {**NAME, "pool": "last"}


# --- tokens


def test_a_pair_is_told_apart_where_the_tokenizer_does(bert_like):
    [pair, single] = encoded(bert_like, row_of("old town", "a river"), row_of("old town")).examples
    assert bert_like.convert_ids_to_tokens(pair["input_ids"]) == ["<s>", "old", "town", "</s>", "a", "river", "</s>"]
    assert pair["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    assert bert_like.convert_ids_to_tokens(single["input_ids"]) == ["<s>", "old", "town", "</s>"]
    bert_like.padding_side = "left"
    batch = build_task(NAME).collate([pair, single], bert_like)
    assert batch["token_type_ids"].tolist() == [pair["token_type_ids"], [0] * 7]


def test_without_types_of_tokens_there_are_none():
    tokenizer = tiny_tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    assert "token_type_ids" not in encoded(tokenizer, row_of("old", "town")).examples.column_names


def test_of_a_pair_the_longer_text_is_cut_and_counted(bert_like):
    rows = [row_of("old town", "small boats full of bread"), row_of("small boats full of bread", "a"), row_of("a")]
    result = encoded(bert_like, *rows, max_length=8)
    texts = [bert_like.decode(example["input_ids"]) for example in result.examples]
    expected = ["<s> old town </s> small boats full </s>", "<s> small boats full of </s> a </s>", "<s> a </s>"]
    assert texts == expected
    assert (dict(result.skipped), dict(result.lost)) == ({}, {"texts cut at 8 tokens": 2})


def test_nothing_is_cut_exactly_when_everything_fits(pair_tokenizer):
    row = row_of("the old harbour", "who painted the bridge ?")
    [whole] = encoded(pair_tokenizer, row).examples
    length = len(whole["input_ids"])
    assert not encoded(pair_tokenizer, row, max_length=length).lost
    cut = encoded(pair_tokenizer, row, max_length=length - 1)
    assert dict(cut.lost) == {f"texts cut at {length - 1} tokens": 1}
    assert len(cut.examples[0]["input_ids"]) == length - 1


def test_a_text_without_tokens_is_left_out_and_counted(tokenizer):
    result = encoded(tokenizer, row_of(""), row_of("bread"))
    kept = 1 + bool(tokenizer.num_special_tokens_to_add())
    assert (len(result.examples), dict(result.skipped)) == (kept, {} if kept == 2 else {"no tokens": 1})


# --- the head


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    ("pool", "feature"), [("mean", lambda h: h.mean(0)), ("first", lambda h: h[0]), ("last", lambda h: h[-1])]
)
def test_features_are_pooled_over_real_tokens(pool, feature, side):
    head = build_task({**NAME, "labels": LABELS, "pool": pool}).head(4).eval()
    texts = [torch.randn(length, 4) for length in (5, 2, 1)]
    hidden, mask = torch.full((3, 5, 4), 1e3), torch.zeros(3, 5, dtype=torch.long)
    for row, text in enumerate(texts):
        own = slice(-len(text), None) if side == "left" else slice(len(text))
        hidden[row, own], mask[row, own] = text, 1
    expected = head.linear(torch.stack([feature(text) for text in texts]))
    torch.testing.assert_close(head(hidden, {"attention_mask": mask}), expected)


def test_a_pool_that_there_is_not_is_an_error():
    with pytest.raises(ConfigError, match="'pool' is 'max'; it must be 'mean' or 'first' or 'last'"):
        build_task({**NAME, "pool": "max"})


def test_the_loss_is_the_cross_entropy():
    task = build_task({**NAME, "labels": LABELS})
    loss = task.loss(torch.zeros(3, 2), {"labels": torch.tensor([1, 0, 1])})
    torch.testing.assert_close(loss.exp(), torch.tensor(2.0))


# --- labels and metrics


def test_the_labels_are_those_of_all_splits_or_those_given():
    task, given = build_task(NAME), build_task({**NAME, "labels": ["yes", "no", "perhaps"]})
    splits = DatasetDict(train=ROWS.select([0]), validation=ROWS.select([1]), test=ROWS)
    assert task.fit(task.config, splits).labels == ("no", "yes")
    assert given.fit(given.config, splits) == given.config
    few = build_task({**NAME, "labels": ["yes"]})
    with pytest.raises(ConfigError, match=r"labels \['no'\] are not among the labels given"):
        few.fit(few.config, splits)


def test_metrics_of_an_example_counted_by_hand():
    task = build_task({**NAME, "labels": ["a", "b", "c"]})
    metrics = task.metrics(np.eye(3)[[0, 0, 1, 1]], np.array([0, 0, 0, 1]), None)
    # a: 2 right of 2 said and 3 true; b: 1 right of 2 said and 1 true; c does not occur.
    assert metrics == pytest.approx({"accuracy": 3 / 4, "macro_f1": (4 / 5 + 2 / 3) / 2})


# --- learning


def test_it_learns_what_a_pair_is_about(train, in_splits):
    topics = {"boats": "water", "bread": "food", "bridge": "town"}
    rows = [row_of(f"a{n % 10}", word, topic) for n in range(24) for word, topic in topics.items()]
    result, test = train(in_splits(rows), NAME)
    assert set(result["validation"]) == {"accuracy", "macro_f1"}
    assert test["accuracy"] > 0.9
