"""`kadapter probe` on tiny models with heads, saved in folders."""

import json

import pytest
from typer.testing import CliRunner

from kadapter import KnowledgeModel, probe
from kadapter.cli import app, main
from kadapter.probing import ask_one
from knowledge_data import sample_path

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
    assert fresh["without"][0]["probability"] == pytest.approx(float(best), rel=1e-4)
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


def test_a_backbone_without_a_head(saved, tmp_path, tiny, capsys, monkeypatch):
    from kadapter.testing import save_tiny_backbone

    bare = str(save_tiny_backbone("bert", tmp_path / "bare"))
    monkeypatch.setattr("sys.argv", ["kadapter", "probe", "who [MASK]", "--backbone", bare])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "head" in capsys.readouterr().err
