"""Entity typing: the marker stands where it should; types are scored by the published definitions."""

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from kadapter import ConfigError
from kadapter.task import build_task
from kadapter.testing import TaskContract, tiny_tokenizer

NAME = {"name": "entity-typing"}
TYPES = ["artist", "person", "place"]


def row_of(text, *types):
    """A row of a text in which the mention stands between [ ]."""
    start, end = text.index("["), text.index("]") - 1
    return {"text": text.replace("[", "").replace("]", ""), "start": start, "end": end, "types": list(types)}


ROWS = Dataset.from_list(
    [
        row_of("the [harbour] of the old town is full", "place"),
        row_of("who painted the bridge ? [nobody] knows", "artist", "person"),
        row_of("[a river]", "place"),
        row_of("so [bread]"),
    ]
)


def encoded(tokenizer, *rows, **options):
    return build_task({**NAME, "labels": TYPES, **options}).encode(Dataset.from_list([*rows]), tokenizer)


class TestEntityTyping(TaskContract):
    options = NAME
    families = ("roberta", "bert", "gpt2")


class TestEntityTypingThatAlwaysSaysAType(TaskContract):
    options = {**NAME, "always": True, "marker": "[E]", "max_length": 14}

    def rows(self):
        rows = ROWS.filter(lambda row: bool(row["types"]))
        return DatasetDict(train=rows, validation=rows, test=rows)


# --- the marker


phrases = st.lists(st.text("abcxyz01", min_size=1, max_size=9) | st.sampled_from(["@", "a@b", "river"]), max_size=5)


@settings(max_examples=40)
@given(phrases, st.text("abcxyz01", min_size=1, max_size=12), phrases, st.sampled_from(["@", "#", "<<"]))
def test_the_position_is_that_of_the_marker_before_the_mention(
    tokenizer, after, squeezed, left, mention, right, marker
):
    row = row_of(" ".join([*left, f"[{mention}]", *right]), "place")
    [example] = encoded(tokenizer, row, marker=marker, max_length=10**6).examples
    said = after(tokenizer, example["input_ids"], *example["markers"])
    assert said == squeezed(f"{marker}{mention}{marker}{''.join(right)}")


def test_a_row_is_left_out_and_counted_exactly_when_a_marker_is_cut_off():
    row = row_of("the old town of the [river] runs by", "place")
    # <s>, five words, marker, mention, marker, </s>: ten tokens
    for length, kept in {9: 0, 10: 1, 11: 1}.items():
        result = encoded(tiny_tokenizer(), row, row_of("[river]", "place"), max_length=length)
        assert len(result.examples) == 1 + kept
        assert dict(result.skipped) == ({} if kept else {f"marker past {length} tokens": 1})


def test_a_split_of_which_nothing_is_left_is_empty_and_counted():
    result = encoded(tiny_tokenizer(), row_of("the old [town]", "place"), max_length=4)
    assert (len(result.examples), dict(result.skipped)) == (0, {"marker past 4 tokens": 1})


def test_a_split_without_rows_is_empty():
    result = build_task({**NAME, "labels": TYPES}).encode(ROWS.select([]), tiny_tokenizer())
    assert (len(result.examples), result.examples.column_names) == (0, ["input_ids", "markers", "labels"])
    assert (dict(result.skipped), dict(result.lost)) == ({}, {})


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_batch_points_at_the_marker_and_has_a_column_for_each_type(side):
    tokenizer = tiny_tokenizer()
    tokenizer.padding_side = side
    task = build_task({**NAME, "labels": TYPES})
    batch = task.collate(list(task.encode(ROWS, tokenizer).examples), tokenizer)
    pointed = batch["input_ids"].gather(1, batch["markers"]).flatten().tolist()
    assert tokenizer.convert_ids_to_tokens(pointed) == ["@"] * 4
    assert batch["labels"].tolist() == [[0, 0, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0]]


# --- labels, options, predictions


def test_the_labels_are_the_types_of_all_splits():
    task = build_task(NAME)
    splits = DatasetDict(train=ROWS.select([0]), validation=ROWS.select([1]), test=ROWS)
    assert task.fit(task.config, splits).labels == tuple(TYPES)


def test_types_that_are_not_among_the_labels_given_are_an_error():
    task = build_task({**NAME, "labels": ["place"]})
    with pytest.raises(ConfigError, match=r"types \['artist', 'person'\] are not among the labels given"):
        task.fit(task.config, DatasetDict(train=ROWS))


def test_labels_that_are_given_twice_are_an_error():
    task = build_task({**NAME, "labels": ["place", *TYPES]})
    with pytest.raises(ConfigError, match=r"types \['place'\] are given twice among the labels; give each once"):
        task.fit(task.config, DatasetDict(train=ROWS))


@pytest.mark.parametrize("options", [{"marker": " "}, {"max_length": 0}, {"dropout": -0.1}])
def test_options_that_make_no_sense_are_an_error(options):
    with pytest.raises(ConfigError, match=f"task: {next(iter(options))} is"):
        build_task({**NAME, **options})


@pytest.mark.parametrize(("always", "expected"), [(False, [[1, 0, 1], [0, 0, 0]]), (True, [[1, 0, 1], [0, 1, 0]])])
def test_types_are_predicted_above_zero_and_the_best_one_always_if_asked(always, expected):
    task = build_task({**NAME, "labels": TYPES, "always": always})
    logits = torch.tensor([[0.5, -1.0, 2.0], [-3.0, -0.5, -2.0]])
    assert task.predictions(logits, {}).tolist() == expected


def test_the_loss_is_the_mean_of_the_binary_cross_entropies():
    task = build_task({**NAME, "labels": TYPES})
    logits, labels = torch.randn(2, 3), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    right = torch.where(labels == 1, logits.sigmoid(), 1 - logits.sigmoid())
    torch.testing.assert_close(task.loss(logits, {"labels": labels}), -right.log().mean())


# --- metrics


def scores(true, said, types=TYPES):
    task = build_task({**NAME, "labels": list(types)})
    arrays = [np.array([[kind in row for kind in types] for row in rows], dtype=float) for rows in (said, true)]
    return task.metrics(*arrays, None)


def test_metrics_of_an_example_counted_by_hand():
    true = [{"person", "artist"}, {"place"}, {"person"}, {"place"}]
    said = [{"person"}, {"place", "person"}, set(), {"place"}]
    # Pairs: 3 right of 4 said and 5 true. Types, right of said and true: artist 0 of 0 and 1, person 1 of 2 and 2,
    # place 2 of 2 and 2. Mentions: precisions 1, 1/2, 0, 1 and recalls 1/2, 1, 0, 1. Exactly right: the last.
    assert scores(true, said) == pytest.approx(
        {
            "micro_precision": 3 / 4,
            "micro_recall": 3 / 5,
            "micro_f1": 2 * 3 / (4 + 5),
            "macro_f1": (0 + 2 * 1 / (2 + 2) + 1) / 3,
            "loose_macro_f1": 2.5 / 4,
            "strict_accuracy": 1 / 4,
        }
    )


sets = st.lists(st.tuples(st.sets(st.sampled_from(TYPES)), st.sets(st.sampled_from(TYPES))), min_size=1, max_size=6)


@given(sets)
def test_metrics_are_those_of_ling_and_weld(pairs):
    true, said = zip(*pairs, strict=True)
    right = [len(t & p) for t, p in pairs]
    strict = sum(t == p for t, p in pairs) / len(pairs)
    loose_precision = sum(r / len(p) for r, p in zip(right, said, strict=True) if p) / len(pairs)
    loose_recall = sum(r / len(t) for r, t in zip(right, true, strict=True) if t) / len(pairs)
    micro = (sum(right) / (sum(map(len, said)) or 1), sum(right) / (sum(map(len, true)) or 1))

    def f1(precision, recall):
        return 2 * precision * recall / (precision + recall) if precision + recall else 0

    found = scores(true, said)
    assert found["strict_accuracy"] == pytest.approx(strict)
    assert found["loose_macro_f1"] == pytest.approx(f1(loose_precision, loose_recall))
    assert (found["micro_precision"], found["micro_recall"]) == pytest.approx(micro)
    assert found["micro_f1"] == pytest.approx(f1(*micro))


def test_a_single_type_is_scored_as_a_type_and_not_as_yes_and_no():
    found = scores([{"place"}, set(), set()], [set(), set(), set()], types=["place"])
    assert (found["micro_f1"], found["macro_f1"], found["strict_accuracy"]) == pytest.approx((0, 0, 2 / 3))


def test_types_that_do_not_occur_do_not_lower_the_macro_f1():
    assert scores([{"place"}], [{"place"}])["macro_f1"] == 1
    assert scores([set()], [set()])["macro_f1"] == 0


# --- learning


def test_it_learns_types_from_the_word_before_the_mention(train, in_splits):
    clues = {"old": ["person"], "small": ["place"], "painted": ["artist", "person"]}
    rows = [row_of(f"{c} [{'abcdef'[n % 6]}{n}] runs by", *clues[c]) for n in range(32) for c in clues]
    result, test = train(in_splits(rows), NAME)
    metrics = {"micro_f1", "micro_precision", "micro_recall", "macro_f1", "loose_macro_f1", "strict_accuracy"}
    assert set(result["validation"]) == metrics
    assert test["micro_f1"] > 0.9
