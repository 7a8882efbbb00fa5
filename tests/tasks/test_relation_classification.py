"""Relation classification: markers stand where they should, for any text and tokenizer; the metrics are right."""

import functools

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from kadapter import ConfigError
from kadapter.task import build_task
from kadapter.testing import TaskContract, tiny_tokenizer
from knowledge_data import READERS, RELATION_FEATURES, RelationRow, geonames_splits, sample_path, split_by_pair

NAME = {"name": "relation-classification"}
LABELS = {"labels": ["feeds", "no_relation"]}


def rows_of(*texts):
    """Rows of texts in which the subject stands between [ ] and the object between { }."""
    return Dataset.from_list([vars(row_of(text)) for text in texts], features=RELATION_FEATURES)


def row_of(text):
    spans = {}
    for opening, closing in ("[]", "{}"):
        plain = "".join(c for c in text if c not in "[]{}" or c in (opening, closing))
        start = plain.index(opening)
        spans[opening] = start, plain.index(closing) - 1
    plain = "".join(c for c in text if c not in "[]{}")
    return RelationRow.of_spans(plain, spans["["], spans["{"], "feeds")


def encoded(tokenizer, rows, **options):
    return build_task({**NAME, **LABELS, **options}).encode(rows, tokenizer)


# --- the contract


@functools.cache
def countries():
    return DatasetDict({name: rows.select(range(12)) for name, rows in geonames_splits(seed=0).items()})


class TestRelationClassification(TaskContract):
    options = NAME
    families = ("roberta", "bert", "gpt2")

    def rows(self):
        rows = READERS["trex"](sample_path("trex")).rows
        return split_by_pair(rows, seed=0)


class TestRelationClassificationOfCountries(TaskContract):
    options = {**NAME, "subject_marker": "[S]", "object_marker": "[O]", "max_length": 60}
    families = ("bert",)

    def rows(self):
        return countries()


# --- markers


@pytest.mark.parametrize(
    "text",
    [
        "the [river] feeds the {harbour}",
        "[river]{harbour}",
        "the {harbour} is fed by the [river]",
        "the {old harbour of the town} is fed by the [zyxwvut river]",
        "write @ or # : the [river] feeds # the {harbour} @ night",
        "the [r@ver # 1] feeds the {h#rbour @}",
        "a [river], a {harbour}.",
        '"[river]" ({harbour})',
        "  [river]   feeds {harbour}  ",
    ],
)
def test_markers_stand_before_subject_and_object(tokenizer, after, squeezed, text):
    row = row_of(text)
    [example] = encoded(tokenizer, rows_of(text)).examples
    for position, span, marker in zip(example["markers"], (row.subject, row.object), "@#", strict=True):
        said = after(tokenizer, example["input_ids"], position)
        marked = squeezed(f"{marker}{row.text[slice(*span)]}{marker}")
        assert said.lstrip('"(').startswith(marked), f"{said} does not start with {marked}"


words = st.text("abcdefgxyz0189", min_size=1, max_size=12)
phrases = st.lists(words | st.sampled_from(["@", "#", "@#", "river", "C#", "a@b"]), max_size=5).map(" ".join)
entities = st.lists(words, min_size=1, max_size=3).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.tuples(phrases, phrases, phrases), entities, entities, st.booleans(), st.sampled_from(["@", "[E1]", "<<"]))
def test_markers_of_any_sentence_decode_to_the_marker_and_then_the_entity(
    tokenizer, after, squeezed, around, subject, object_, turned, marker
):
    before, between, behind = around
    first, second = (f"{{{object_}}}", f"[{subject}]") if turned else (f"[{subject}]", f"{{{object_}}}")
    rows = rows_of(f"{before} {first} {between} {second} {behind}")
    [example] = encoded(tokenizer, rows, subject_marker=marker, max_length=10**6).examples
    for position, entity, own in zip(example["markers"], (subject, object_), (marker, "#"), strict=True):
        assert after(tokenizer, example["input_ids"], position).startswith(squeezed(f"{own}{entity}{own}"))


def test_markers_of_a_real_tokenizer_stand_before_the_spans_of_every_row(minilm, after, squeezed):
    rows = READERS["trex"](sample_path("trex")).rows
    task = build_task(NAME)
    fitted = type(task)(task.fit(task.config, DatasetDict(train=rows)))
    examples = fitted.encode(rows, minilm.tokenizer).examples
    assert len(examples) == len(rows)
    for row, example in zip(rows, examples, strict=True):
        for position, role, marker in zip(example["markers"], ("subject", "object"), "@#", strict=True):
            marked = f"{marker}{row['text'][row[f'{role}_start'] : row[f'{role}_end']]}{marker}"
            assert after(minilm.tokenizer, example["input_ids"], position).startswith(squeezed(marked))


def test_a_row_is_left_out_and_counted_exactly_when_a_marker_is_cut_off():
    tokenizer, rows = tiny_tokenizer(), rows_of("the old town and the [river] of the {harbour}")
    [whole] = encoded(tokenizer, rows).examples
    seen = {}
    for length in range(3, len(whole["input_ids"]) + 2):
        result = encoded(tokenizer, rows, max_length=length)
        seen[length] = len(result.examples)
        assert dict(result.skipped) == ({} if seen[length] else {f"marker past {length} tokens": 1})
    # The last marker is the last of the text; the end token takes one place more.
    assert seen == {length: int(length >= len(whole["input_ids"])) for length in seen}


def test_spans_that_overlap_are_left_out_and_counted():
    spans = {"subject_start": 4, "subject_end": 13, "object_start": 8, "object_end": 13}
    row = {**vars(row_of("the [old] {river}")), **spans}
    rows = Dataset.from_list([row, vars(row_of("[a] {b}"))], features=RELATION_FEATURES)
    result = encoded(tiny_tokenizer(), rows)
    assert (len(result.examples), dict(result.skipped)) == (1, {"subject and object overlap": 1})


def test_a_split_of_which_nothing_is_left_is_empty():
    rows = rows_of("the [old] {river}")
    late, none = encoded(tiny_tokenizer(), rows, max_length=4), encoded(tiny_tokenizer(), rows.select([]))
    assert [dict(result.skipped) for result in (late, none)] == [{"marker past 4 tokens": 1}, {}]
    for result in (late, none):
        assert (len(result.examples), result.examples.column_names) == (0, ["input_ids", "markers", "labels"])


# --- batches


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_batch_points_at_the_same_tokens_whichever_side_is_padded(side):
    tokenizer = tiny_tokenizer()
    tokenizer.padding_side = side
    rows = rows_of("[a] {b}", "the {old} town of the [river]", "the [old] {bridge}")
    batch = build_task({**NAME, **LABELS}).collate(list(encoded(tokenizer, rows).examples), tokenizer)
    pointed = batch["input_ids"].gather(1, batch["markers"])
    assert tokenizer.convert_ids_to_tokens(pointed.flatten().tolist()) == ["@", "#"] * 3
    assert batch["labels"].tolist() == [0, 0, 0]


def test_the_head_reads_both_markers_and_nothing_else():
    task = build_task({**NAME, **LABELS})
    head, hidden = task.head(4).eval(), torch.randn(2, 5, 4)
    batch = {"markers": torch.tensor([[1, 3], [4, 0]])}
    features = torch.cat([hidden[[0, 1], [1, 4]], hidden[[0, 1], [3, 0]]], -1)
    torch.testing.assert_close(head(hidden, batch), head.linear(features))
    loss = task.loss(torch.zeros(1, 2), {"labels": torch.tensor([1])})
    torch.testing.assert_close(loss.exp(), torch.tensor(2.0))


# --- labels and metrics


def test_the_labels_are_the_relations_of_all_splits():
    splits = split_by_pair(READERS["trex"](sample_path("trex")).rows, seed=0)
    config = build_task(NAME).config
    fitted = build_task(NAME).fit(config, splits)
    assert fitted.labels == tuple(sorted({relation for rows in splits.values() for relation in rows["relation"]}))


def test_relations_that_are_not_among_the_labels_given_are_an_error():
    task = build_task({**NAME, "labels": ["no_relation"]})
    with pytest.raises(ConfigError, match=r"relations \['feeds'\] are not among the labels given"):
        task.fit(task.config, DatasetDict(train=rows_of("[a] {b}")))


def test_labels_that_are_given_keep_their_order():
    task = build_task({**NAME, "labels": ["no_relation", "feeds", "other"]})
    assert task.fit(task.config, DatasetDict(train=rows_of("[a] {b}"))) == task.config
    [example] = task.encode(rows_of("[a] {b}"), tiny_tokenizer()).examples
    assert example["labels"] == 1


def test_metrics_of_an_example_counted_by_hand():
    task = build_task({**NAME, "labels": ["a", "b", "no_relation"]})
    labels = np.array([0, 0, 1, 2, 2, 2])
    predicted = np.array([0, 1, 1, 2, 2, 0])
    # a: 1 right of 2 predicted and 2 true; b: 1 of 2 predicted and 1 true; no_relation: 2 of 2 predicted and 3 true.
    f1 = {"a": 2 * 1 / (2 + 2), "b": 2 * 1 / (2 + 1), "no_relation": 2 * 2 / (2 + 3)}
    assert task.metrics(np.eye(3)[predicted], labels, None) == pytest.approx(
        {
            "accuracy": 4 / 6,
            "micro_f1": 4 / 6,
            "micro_f1_positive": 2 * 2 / (4 + 3),
            "macro_f1": sum(f1.values()) / 3,
        }
    )


def test_without_no_relation_every_relation_is_positive():
    task = build_task({**NAME, "labels": ["a", "b"]})
    metrics = task.metrics(np.eye(2)[[0, 1, 1]], np.array([0, 1, 0]), None)
    assert metrics["micro_f1_positive"] == metrics["micro_f1"] == pytest.approx(2 / 3)
