"""Batched scores against a plain loop: one sentence at a time, nothing shared, nothing padded."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from kadapter import ConfigError
from kadapter.probing import batches
from kadapter.probing.batches import grouped
from kadapter.probing.encoding import log_likelihoods, terms, tokens_of
from kadapter.probing.items import Item
from kadapter.probing.one_question import answers_of
from kadapter.probing.scoring import ask, filled, prepare, rank_of

SENTENCES = [
    ("the harbour of the old town is full of small boats", (4, 11)),
    ("a river runs by", (2, 7)),
    ("who painted the bridge ? nobody knows .", (30, 36)),
    ("zxq bread", (4, 9)),
]


def without_start(lm):
    """The same model, whose tokenizer adds nothing to a text."""
    tokenizer = copy.deepcopy(lm.tokenizer)
    tokenizer.backend_tokenizer.post_processor = None
    return replace(lm, tokenizer=tokenizer)


def plain(lm, text, span):
    """Log-likelihood of the tokens in `span`, or of all but special ones, by the definition."""
    told = lm.tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    ids, words = told["input_ids"], told.word_ids()
    total = 0.0
    for t, (start, end) in enumerate(told["offset_mapping"]):
        if told["special_tokens_mask"][t] or (span and not (start < span[1] and span[0] < end)):
            continue
        if lm.causal:
            seen, at = ids[:t], t - 1
            if t == 0:
                continue
        else:
            later = [u for u in range(t, len(ids)) if u == t or words[u] == words[t]]
            seen, at = [lm.tokenizer.mask_token_id if u in later else i for u, i in enumerate(ids)], t
        with torch.no_grad():
            logits = lm.model(input_ids=torch.tensor([seen])).logits[0, at]
        total += float(logits.log_softmax(-1)[ids[t]])
    return total


@pytest.mark.parametrize("whole", [True, False])
def test_likelihoods_are_those_of_a_plain_loop(lm, whole, monkeypatch):
    monkeypatch.setattr(batches, "TOKENS", 40)
    cut = tokens_of(lm, [text for text, _ in SENTENCES])
    spans = [None if whole else span for _, span in SENTENCES]
    found = log_likelihoods(lm, [terms(lm, tokens, span) for tokens, span in zip(cut, spans, strict=True)])
    wanted = [plain(lm, text, span) for (text, _), span in zip(SENTENCES, spans, strict=True)]
    assert [sum(shares) for shares in found] == pytest.approx(wanted, abs=1e-3)


def test_a_word_of_several_tokens_is_not_read_off_its_own_end(masked):
    [tokens] = tokens_of(masked, ["boats zxq bread"])
    first, second, third = (term for term in terms(masked, tokens, (6, 9)))
    hidden = [term.ids.count(masked.tokenizer.mask_token_id) for term in (first, second, third)]
    assert hidden == [3, 2, 1]


def test_a_causal_model_is_run_once_for_what_shares_a_beginning(causal):
    item = Item("r", ("river",), ("river", "bread", "harbour"), ("who knows the [Y]",))
    question = prepare(causal, item, item.sentences[0], "object")
    before = causal.batches
    ask(causal, [question])
    assert causal.batches == before + 1
    assert len({term.ids for sequence in question.sequences for term in sequence}) == 1


@pytest.mark.parametrize("scoring", ["object", "sentence"])
@pytest.mark.parametrize("mean", [True, False])
def test_closed_lists(lm, items, scoring, mean):
    pairs = [(items[0], items[0].sentences[0]), (items[2], items[2].sentences[1])]
    answers = ask(lm, [prepare(lm, item, sentence, scoring) for item, sentence in pairs], mean)
    for (item, sentence), answer in zip(pairs, answers, strict=True):
        texts, spans = filled(sentence, item.choices)
        scores = {}
        for choice, text, span in zip(item.choices, texts, spans, strict=True):
            span = span if scoring == "object" else None
            count = len(terms(lm, tokens_of(lm, [text])[0], span))
            scores[choice] = plain(lm, text, span) / (count if mean else 1)
        ranked = sorted(scores, key=lambda choice: -scores[choice])
        assert (answer.said, answer.rank) == (ranked[0], 1 + ranked.index(item.right[0]))
        assert (answer.choices, answer.right) == (4, 1)


def test_the_vocabulary_is_ranked(lm):
    item = Item("r", ("river",), (), ("who painted the [Y].",))
    [answer] = ask(lm, [prepare(lm, item, item.sentences[0], "token")])
    text = "who painted the" if lm.causal else "who painted the <mask>."
    ids = lm.tokenizer(text)["input_ids"]
    # The tokenizer ends every text with a token of its own, which nothing is said after.
    ids, at = (ids[:-1], -1) if lm.causal else (ids, ids.index(lm.tokenizer.mask_token_id))
    with torch.no_grad():
        order = lm.model(input_ids=torch.tensor([ids])).logits[0, at].argsort(descending=True).tolist()
    words = lm.tokenizer.convert_ids_to_tokens(order)
    assert answer.rank == 1 + words.index("river")
    assert answer.said == lm.tokenizer.decode([order[0]]).strip()
    assert answer.choices == len(lm.tokenizer)


def test_what_the_tokenizer_takes_into_the_word_of_the_blank_is_seen(masked):
    """As in a SentencePiece tokenizer, where a full stop belongs to the word before it."""
    pieces = ["▁who", "▁painted", "▁the", "▁river", "▁bread", "."]
    scores = [(piece, -1.0) for piece in ("<unk>", "<mask>", *pieces)]
    whole = Tokenizer(models.Unigram(scores, unk_id=0))
    whole.pre_tokenizer = pre_tokenizers.Metaspace()
    lm = replace(
        masked, tokenizer=PreTrainedTokenizerFast(tokenizer_object=whole, unk_token="<unk>", mask_token="<mask>")
    )
    item = Item("r", ("river", "bread"), (), ("who painted the [Y].",))
    question = prepare(lm, item, item.sentences[0], "token")
    assert lm.tokenizer(item.sentences[0].replace("[Y]", "river")).word_ids() == [0, 1, 2, 3, 3]
    assert lm.tokenizer.convert_ids_to_tokens(question.prompt.ids) == [*pieces[:3], "<mask>", "."]
    assert lm.tokenizer.convert_ids_to_tokens(sorted(question.right)) == pieces[3:5]


def test_a_choice_alone_tells_a_causal_model_nothing(causal):
    with pytest.raises(ConfigError, match="write something before it"):
        answers_of({"without": without_start(causal)}, "[MASK]", choices=["river", "bread"])


def test_what_cannot_be_asked_says_why(masked, causal):
    two = Item("r", ("old town",), (), ("who knows the [Y].",))
    assert prepare(masked, two, two.sentences[0], "token") == "answer of several tokens"
    first = Item("r", ("river",), (), ("the [Y] runs by",))
    assert prepare(causal, first, first.sentences[0], "token").startswith("text after the blank")
    start = Item("r", ("river",), ("river", "old town"), ("[Y] runs", "[Y]"))
    plain = without_start(causal)
    assert prepare(plain, start, "[Y] runs", "object").startswith("nothing before the answer")
    assert prepare(plain, start, "[Y]", "token").startswith("nothing before the answer")
    assert not isinstance(prepare(plain, start, "[Y] runs", "sentence"), str)
    assert not isinstance(prepare(masked, start, "[Y] runs", "object"), str)
    long = Item("r", ("river",), ("river", "bread"), ("bread " * 130 + "[Y]",))
    assert prepare(masked, long, long.sentences[0], "sentence") == "longer than the model takes"


@given(lengths=st.lists(st.integers(1, 30), max_size=40), tokens=st.integers(1, 60))
def test_batches_hold_everything_once_and_not_too_much(lengths, tokens):
    found = list(grouped(lengths, tokens))
    assert sorted(number for batch in found for number in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[number] for number in batch) <= tokens


@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=12), data=st.data())
def test_ranks(values, data):
    numbers = st.integers(0, len(values) - 1)
    right = sorted(data.draw(st.sets(numbers, min_size=1)))
    rank = rank_of(torch.tensor(values, dtype=torch.float64), right)
    best = max(values[number] for number in right)
    wrong = [value for number, value in enumerate(values) if number not in right]
    assert rank == 1 + sum(value >= best for value in wrong)
    order = data.draw(st.permutations(range(len(values))))
    moved = torch.tensor([values[number] for number in order], dtype=torch.float64)
    assert rank_of(moved, [order.index(number) for number in right]) == rank


def test_a_model_that_gives_no_numbers_is_right_about_nothing():
    assert rank_of(torch.full((5,), torch.nan), [2]) == 5
