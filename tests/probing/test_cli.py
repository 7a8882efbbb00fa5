"""`kadapter probe` on tiny models with heads, saved in folders."""

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from kadapter import KnowledgeModel, StorageError, probe
from kadapter.cli import app, main
from kadapter.probing import ask_one
from knowledge_data import DataError, sample_path

PROBES = sample_path("bear").parent


@pytest.fixture(scope="session")
def saved(tmp_path_factory, tiny_lm):
    """Gives the folder of a tiny model of a family, with its head and tokenizer."""

    def save(family):
        folder = tmp_path_factory.mktemp(family)
        tiny = tiny_lm(family)
        tiny.model.save_pretrained(folder)
        tiny.tokenizer.save_pretrained(folder)
        return str(folder)

    return {family: save(family) for family in ("bert", "llama")}


@pytest.fixture
def adapted(saved):
    """Gives a model of a family with an adapter that changes what it says."""

    def load(family):
        return KnowledgeModel.from_pretrained(saved[family], {"own": {"type": "k-adapter", "reads": [1, 2]}})

    return load


def ran(*words):
    done = CliRunner().invoke(app, ["probe", *words])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.stdout


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_with_and_without_adapters(adapted, family, tmp_path):
    model = adapted(family)
    report = probe(model, "bear", PROBES / "bear", tmp_path, resamples=10)
    assert report["models"] == ["without", "with"]
    assert report["asked"] == 5
    assert report["taught_unknown"] == {"own": "nothing says what it was trained on"}
    assert json.loads((tmp_path / "probe.json").read_text()) == json.loads(json.dumps(report))
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 8
    assert {path.name for path in tmp_path.iterdir()} == {"probe.json", "probe.md", "probe.png", "answers.jsonl"}
    model.unplug("own")
    alone = probe(model, "bear", PROBES / "bear", resamples=10)
    assert alone["relations"]["P19"]["without"] == report["relations"]["P19"]["without"]


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_one_question(adapted, family):
    found = ask_one(adapted(family), "who painted the [MASK].", top=3)
    assert list(found) == ["without", "with"]
    for answers in found.values():
        shares = [answer["probability"] for answer in answers]
        assert len(answers) == 3
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1


def test_a_fresh_head_is_the_one_that_is_asked(saved):
    model = KnowledgeModel.from_pretrained(saved["bert"], task={"name": "masked-lm", "head": "fresh"})
    own, fresh = (ask_one(asked, "who [MASK] ?") for asked in (KnowledgeModel.from_pretrained(saved["bert"]), model))
    batch = model.backbone.tokenizer("who <mask> ?", return_tensors="pt")
    best = model(**batch).logits[0, 2].softmax(-1).max()
    assert fresh["without"][0]["probability"] == pytest.approx(best.item(), rel=1e-4)
    assert own["without"] != fresh["without"]


@pytest.mark.parametrize(("family", "task"), [("bert", "masked-lm"), ("llama", "causal-lm")])
def test_the_head_of_a_language_modelling_model_is_called_once(saved, family, task):
    model = KnowledgeModel.from_pretrained(saved[family], task={"name": task})
    alone = ask_one(KnowledgeModel.from_pretrained(saved[family]), "who painted the [MASK]")
    calls = []
    model.backbone.lm_head.register_forward_hook(lambda *_: calls.append(1))
    assert ask_one(model, "who painted the [MASK]") == alone
    assert len(calls) == 1


def test_what_is_behind_the_blank_chooses_for_a_causal_model(adapted):
    found = ask_one(adapted("llama"), "the [MASK] runs by the harbour", top=4)
    assert all(len(answers) == 4 for answers in found.values())
    listed = ask_one(adapted("llama"), "the [MASK] runs by", choices=["river", "bread"])
    assert {answer["answer"] for answer in listed["with"]} == {"river", "bread"}
    assert sum(answer["probability"] for answer in listed["with"]) == pytest.approx(1)


def test_the_command(saved, tmp_path):
    said = ran("bear", "blimp", "--data", str(PROBES), "--backbone", saved["bert"], "--set", "resamples=5",
               "--output", str(tmp_path))  # fmt: skip
    assert "by fact" in said
    assert "facts asked" in said
    assert (tmp_path / "blimp" / "probe.json").exists()
    told = json.loads(ran(f"numersense={PROBES / 'numersense.masked.tsv'}", "--backbone", saved["llama"], "--json"))
    assert told["numersense"]["asked"] == 3


def test_the_command_with_a_question(saved):
    assert "river" in ran(
        "who painted the [MASK]", "--backbone", saved["bert"], "--choice", "river", "--choice", "bread"
    )
    told = json.loads(ran("who painted the <mask> ?", "--backbone", saved["bert"], "--top", "2", "--json"))
    assert len(told["without"]) == 2


def test_the_command_compares_the_choices_of_a_question_by_token(saved):
    choices = ["the harbour of the old town", "bread"]
    words = [word for choice in choices for word in ("--choice", choice)]
    told = json.loads(ran("who [MASK]", "--backbone", saved["bert"], *words, "--set", "mean=true", "--json"))
    model = KnowledgeModel.from_pretrained(saved["bert"])
    assert told == ask_one(model, "who [MASK]", choices=choices, mean=True)
    assert told != ask_one(model, "who [MASK]", choices=choices)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["who painted the bridge"], "has 0 blanks; write [MASK] once"),
        (["[MASK] and [MASK]"], "has 2 blanks"),
        (["who painted the [MASK]", "--top", "0"], "0 answers are asked for; ask for 1 or more"),
        (
            ["who painted the [MASK]", "--choice", "a", "--choice", " "],
            "choices are 'a', ' '; give each once, and none",
        ),
        (["who painted the [MASK]", "--choice", "a", "--choice", "a"], "give each once"),
        (["who painted the [MASK]", "--output", "out"], "--output goes with probes; keep the answers to a question by"),
        (["who painted the [MASK]", "--scoring", "object"], "--scoring goes with probes; a question takes"),
        (["who painted the [MASK]", "--filter", "name"], "--filter goes with probes"),
        (["who painted the [MASK]", "--facts", "a.tsv"], "--facts goes with probes"),
        (["who painted the [MASK]", "--taught", "keep"], "--taught goes with probes"),
        (["who painted the [MASK]", "--relation", "P19"], "--relation goes with probes"),
        (["who painted the [MASK]", "--limit", "3"], "--limit goes with probes"),
        (["who painted the [MASK]", "--data", "."], "--data goes with probes"),
        (["who painted the [MASK]", "--seed", "1"], "--seed goes with probes"),
        (["who painted the [MASK]", "--on-error", "skip"], "--on-error goes with probes"),
        (["who painted the [MASK]", "--set", "ranks=[1]"], "a question has no option 'ranks'; it has mean"),
        (["who painted the [MASK]", "--set", "mean=2"], "a question: option 'mean' is 2; it must be bool"),
        (["bear=my probes/nowhere"], "nowhere: holds no P*.jsonl"),
        (["bear"], "where does bear lie? Say bear=PATH, or --data FOLDER"),
        (["glue", "--data", "."], "there is no probe 'glue'; choose one of: bear"),
        (["glue=."], "there is no probe 'glue'"),
        (["bear=nowhere"], "nowhere: holds no P*.jsonl"),
        ([f"lm-kbc={PROBES / 'lm_kbc.jsonl'}"], "nothing is left to ask (4: no phrasing)"),
        ([f"bear={PROBES / 'bear'}", "--scoring", "best"], "option 'scoring' is 'best'"),
        ([f"bear={PROBES / 'bear'}", "--filter", "names"], "there is no filter 'names'"),
        ([f"bear={PROBES / 'bear'}", "--facts", "nowhere.tsv"], "nowhere.tsv"),
        ([f"bear={PROBES / 'bear'}", "--set", "seed=3"], "--set seed: say it by --seed"),
        ([f"bear={PROBES / 'bear'}", "--set", "filters=[name]"], "--set filters: say it by --filter"),
        ([f"bear={PROBES / 'bear'}", "--choice", "a"], "--choice goes with a question"),
        ([f"bear={PROBES / 'bear'}", "--top", "3"], "--top goes with a question; --set ranks=[1,3] says"),
        (["bear=here", "bear=there"], "two probes are called 'bear'; ask for them one after the other"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, message, saved, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    output = [] if " " in words[0] and "=" not in words[0] else ["--output", "out"]
    monkeypatch.setattr("sys.argv", ["kadapter", "probe", *words, "--backbone", saved["bert"], *output])
    with pytest.raises(SystemExit) as stopped:
        main()
    told = capsys.readouterr().err.splitlines()[-1]
    assert (stopped.value.code, told.startswith("error: ")) == (2, True)
    assert message in told
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_asked(adapted, tmp_path):
    model, place = adapted("bert"), tmp_path / "taken"
    place.write_text("mine")
    model.forward = model.backbone.forward = None
    with pytest.raises(StorageError, match="is not a folder that can be written to"):
        probe(model, "bear", PROBES / "bear", place)
    assert place.read_text() == "mine"


def test_what_is_asked_before_an_error_is_told(saved, tmp_path):
    done = CliRunner().invoke(
        app, ["probe", f"bear={PROBES / 'bear'}", f"blimp={tmp_path}", "--backbone", saved["bert"]]
    )
    assert isinstance(done.exception, DataError)
    assert "by fact" in done.stdout


def test_what_is_malformed_is_told(saved, tmp_path):
    folder = tmp_path / "bear"
    shutil.copytree(PROBES / "bear", folder)
    with (folder / "P19.jsonl").open("a") as file:
        file.write('{"x": 1}\n')
    assert "left out: malformed record" in ran(f"bear={folder}", "--backbone", saved["bert"], "--on-error", "skip")
    (folder / "P19.jsonl").write_text("")
    model = KnowledgeModel.from_pretrained(saved["bert"])
    with pytest.raises(DataError, match=r"P19.jsonl: holds no record"):
        probe(model, "bear", folder)
    assert probe(model, "bear", folder, on_error="skip", resamples=0)["left_out"] == {"malformed relation": 1}


def test_an_answer_that_comes_first_is_chosen_by_its_whole_likelihood(adapted, causal):
    """A causal model sees its start token there, or the first token of each choice would have no likelihood."""
    model = adapted("llama")
    answers = ask_one(model, "[MASK] runs .", choices=["river", "bread", "boats"])["without"]
    tokenizer, plain = causal.tokenizer, causal.model
    scores = {}
    for choice in ("river", "bread", "boats"):
        told = tokenizer(f"{choice} runs .")["input_ids"]
        ids = told if told[0] in (tokenizer.bos_token_id, tokenizer.eos_token_id) else [tokenizer.eos_token_id, *told]
        with torch.no_grad():
            shares = plain(torch.tensor([ids])).logits[0].log_softmax(-1)
        real = [place for place in range(1, len(ids)) if ids[place] not in tokenizer.all_special_ids]
        scores[choice] = sum(float(shares[place - 1, ids[place]]) for place in real)
    shares = torch.tensor([*scores.values()], dtype=torch.float64).softmax(0).tolist()
    found = {answer["answer"]: answer["probability"] for answer in answers}
    assert found == pytest.approx(dict(zip(scores, shares, strict=True)), rel=1e-4)
    assert len(ask_one(model, "[MASK] runs .", top=3)["with"]) == 3


def test_pairs_are_compared_whole_whatever_is_asked_for(saved):
    model = KnowledgeModel.from_pretrained(saved["bert"])
    assert probe(model, "blimp", PROBES / "blimp", scoring="object", resamples=0)["scoring"] == "sentence"


def test_a_backbone_without_a_head(saved, tmp_path, tiny, capsys, monkeypatch):
    from kadapter.testing import save_tiny_backbone

    bare = str(save_tiny_backbone("bert", tmp_path / "bare"))
    monkeypatch.setattr("sys.argv", ["kadapter", "probe", "who [MASK]", "--backbone", bare])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "head" in capsys.readouterr().err
