"""The Hub: what is pushed and loaded again, of which commit, what is fetched for it, and what can be wrong."""

import json

import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import load

from kadapter import KnowledgeModel, StorageError, push_to_hub
from kadapter.hub import hub_id

EVIL = {"pytorch_model.bin": b"\x80\x02.", "adapters/geo/evil.pkl": b"\x80\x02.", "modeling.py": b"raise SystemExit"}
PUSH = """
adapter = build_adapter({"type": "k-adapter", "init": "random", "reads": [1, 2], "width": 16, "heads": 4}, tiny.info)
fill_randomly(adapter, seed=SEED)
save_adapter(folder / "geo-SEED", adapter, "geo", trained_on={"seed": SEED, "licence": "MIT"})
result = run("push", str(folder / "geo-SEED"), "me/geo", *WORDS)
"""


def push(online, seed, *words):
    code, out, err = online(PUSH.replace("SEED", str(seed)).replace("WORDS", str(words)))
    assert code == 0, err
    return out


@pytest.fixture(scope="module")
def geo(online, hub):
    """The commits of an adapter: two on `main`, one on `trial`; beside it lies what nobody should fetch."""
    commits = {}
    for seed, words in ((1, ()), (2, ("--message", "better")), (3, ("--revision", "trial"))):
        push(online, seed, *words)
        commits[seed] = hub.repositories["me/geo"].refs["trial" if "trial" in words else "main"]
    hub.repositories["me/geo"].commits[commits[1]].update(EVIL)
    return commits


MODEL = """
torch.manual_seed(0)
model = KnowledgeModel.from_pretrained("house/tiny", adapters={"geo": "me/geo@COMMIT"})
model.recompose({"name": "concat"})
inputs = tiny.tokenizer(["a river", "a lake and a hill"], return_tensors="pt", padding=True)
before = model.eval()(**inputs).last_hidden_state
commit = model.push_to_hub("me/model", private=True)
result = [commit.oid, str(commit.commit_url)]
"""


@pytest.fixture(scope="module")
def model(online, hub, geo, tiny_files):
    """The commit of a whole model; since then its backbone has moved, and something evil came to lie beside it."""
    oid, _ = online(MODEL.replace("COMMIT", geo[1]))
    hub.repositories["me/model"].commits[oid].update(EVIL)
    other = {**tiny_files, "model.safetensors": b"damaged"}
    hub.put("house/tiny", other)
    return oid


def same(online, given, seed):
    """Whether what `given` makes has the weights of the adapter that was pushed with that seed."""
    saved = f"load_adapter(folder / 'geo-{seed}', tiny.info)"
    return online(f"result = weights({given}) == weights({saved})")


# --- an adapter


def test_what_is_pushed_is_three_files_bit_for_bit(geo, hub, home):
    held = hub.repositories["me/geo"].commits[geo[2]]
    assert set(held) == {"README.md", "adapter.json", "adapter.safetensors"}
    for name in ("adapter.json", "adapter.safetensors"):
        assert held[name] == (home / "geo-2" / name).read_bytes()
    assert (
        load(held["adapter.safetensors"]).keys() == load((home / "geo-1" / "adapter.safetensors").read_bytes()).keys()
    )


def test_the_card_that_is_pushed_says_its_id_and_base(geo, hub):
    card = ModelCard(hub.repositories["me/geo"].commits[geo[2]]["README.md"].decode())
    assert 'adapters=["me/geo"]' in card.text
    assert (card.data.base_model, card.data.license, card.data.base_model_relation) == ("house/tiny", "mit", "adapter")


def test_a_card_of_ones_own_is_pushed_as_it_is(online, geo, hub):
    online('save_adapter(folder / "own", adapter, "geo", card="Mine.\\n"); push_to_hub(folder / "own", "me/own")')
    repository = hub.repositories["me/own"]
    assert repository.commits[repository.refs["main"]]["README.md"] == b"Mine.\n"


def test_where_things_lie_at_home_stays_there(online, geo, hub, home):
    online("""
private = {"recipe": {"source": {"path": "/home/me/secret/facts.json"}}, "note": "/home/me/secret/facts.json"}
save_adapter(folder / "private", adapter, "geo", trained_on=private, card="Of /home/me/secret/facts.json.")
push_to_hub(folder / "private", "me/private")
""")
    repository = hub.repositories["me/private"]
    held = repository.commits[repository.refs["main"]]
    assert json.loads(held["adapter.json"])["trained_on"]["note"] == "facts.json"
    assert held["README.md"] == b"Of facts.json."
    assert b"secret" in (home / "private" / "adapter.json").read_bytes()


def test_push_prints_the_commit(online, geo, hub):
    told = json.loads(push(online, 4, "--revision", "other", "--json"))
    assert told["revision"] == hub.repositories["me/geo"].refs["other"]
    assert told["url"].endswith(told["revision"])


@pytest.mark.parametrize("way", ["branch", "commit", "tag of main"])
def test_the_revision_that_is_asked_for_is_loaded(online, geo, way):
    name, seed = {"branch": ("@trial", 3), "commit": (f"@{geo[1]}", 1), "tag of main": ("", 2)}[way]
    assert same(online, f"load_adapter('me/geo{name}', tiny.info)", seed)


def test_the_commit_that_was_loaded_is_kept_and_saved(online, geo, home):
    online('loaded = load_adapter("me/geo", tiny.info); save_adapter(folder / "again", loaded, "geo")')
    said = json.loads((home / "again" / "adapter.json").read_text())
    assert said["trained_on"] == {"seed": 2, "licence": "MIT", "hub": {"repository": "me/geo", "revision": geo[2]}}
    assert f"| loaded from | `me/geo`, revision `{geo[2]}` |" in (home / "again" / "README.md").read_text()


def test_adapters_are_plugged_by_their_ids(online, geo):
    call = "KnowledgeModel.from_pretrained('house/tiny', adapters={}, backbone=tiny)"
    assert same(online, f"{call.format(['me/geo'])}.adapters['geo']", 2)
    assert same(online, f"{call.format({'mine': f'me/geo@{geo[1]}'})}.adapters['mine']", 1)
    assert same(online, "KnowledgeModel(tiny).plug('geo', 'me/geo@trial')", 3)


def test_only_what_an_adapter_is_made_of_is_fetched(online, geo, hub):
    hub.asked.clear()
    online(f"load_adapter('me/geo@{geo[1]}', tiny.info, cache_dir=folder / 'elsewhere')")
    assert hub.fetched("me/geo") == {"adapter.json", "adapter.safetensors", "README.md"}
    assert (hub.repositories["me/geo"].commits[geo[1]].keys()) > hub.fetched("me/geo")


def test_a_commit_that_is_in_the_cache_is_not_asked_for(online, geo, hub):
    online(f"load_adapter('me/geo@{geo[1]}', tiny.info)")
    hub.asked.clear()
    online(f"load_adapter('me/geo@{geo[1]}', tiny.info)")
    assert hub.asked == []
    online(f"load_adapter('me/geo@{geo[1]}', tiny.info, force_download=True)")
    assert "adapter.safetensors" in hub.fetched("me/geo")


def test_a_folder_of_that_name_wins(online, geo, hub, home):
    (home / "me").mkdir(exist_ok=True)
    online("import os, shutil; shutil.copytree(folder / 'geo-3', folder / 'me' / 'geo'); os.chdir(folder)")
    try:
        assert same(online, "load_adapter('me/geo', tiny.info)", 3)
    finally:
        online("os.chdir('/'); shutil.rmtree(folder / 'me')")


def test_inspect_tells_of_what_lies_there(online, geo):
    code, out, err = online("result = run('inspect', 'me/geo', '--json')")
    assert code == 0, err
    told = json.loads(out)
    assert (told["name"], told["trained_on"]["seed"], told["card"]["license"]) == ("geo", 2, "mit")


# --- a whole model


def test_a_model_comes_back_bit_for_bit_with_its_backbone_of_then(online, model, hub):
    hub.asked.clear()
    assert online(f"""
again = KnowledgeModel.from_pretrained("me/model", revision="{model}", cache_dir=folder / "fresh")
result = torch.equal(again(**inputs).last_hidden_state, before)
""")
    assert hub.fetched("me/model") == {
        "model.json", "model.safetensors", "README.md",
        "adapters/geo/adapter.json", "adapters/geo/adapter.safetensors", "adapters/geo/README.md",
    }  # fmt: skip
    assert not any(name.endswith((".bin", ".py", ".pkl")) for name in hub.fetched("house/tiny"))


def test_a_model_says_of_which_commit_its_adapters_are(online, model, home):
    online("again = KnowledgeModel.from_pretrained('me/model'); again.save_pretrained(folder / 'kept')")
    told = json.loads((home / "kept" / "adapters" / "geo" / "adapter.json").read_text())["trained_on"]["hub"]
    assert told == {"repository": "me/model", "revision": model, "folder": "adapters/geo"}


def test_a_model_that_is_private_is_for_who_has_the_token(online, model, hub):
    assert hub.repositories["me/model"].private
    assert online(
        "result = KnowledgeModel.from_pretrained('me/model', token='TOKEN').plugged".replace("TOKEN", "hf_of_the_owner")
    ) == ["geo"]
    with pytest.raises(
        Exception, match=r"^BackboneError: .*no such repository, or it is private; check the id, or log in"
    ):
        online("KnowledgeModel.from_pretrained('me/model', token='hf_other', cache_dir=folder / 'stranger')")


def test_a_backbone_is_loaded_of_the_commit_that_is_asked_for(online, model, hub):
    first = next(iter(hub.repositories["house/tiny"].commits))
    for way in (f"'house/tiny@{first}'", f"'house/tiny', revision='{first}'"):
        online(f"info = load_backbone({way}).info")
        told = online("result = [info.name, info.hub_id, info.revision, info.fingerprint == tiny.info.fingerprint]")
        assert told == ["house/tiny", "house/tiny", first, True]
        assert online(f"result = KnowledgeModel.from_pretrained({way}).backbone.info.revision") == first
    with pytest.raises(Exception, match=r"^BackboneError: backbone 'house/tiny' cannot be loaded"):
        online("load_backbone('house/tiny')")


def test_code_that_a_repository_brings_is_not_even_fetched(online, hub, tiny_files):
    config = {**json.loads(tiny_files["config.json"]), "auto_map": {"AutoModel": "modeling.Evil"}}
    hub.put("house/evil", {**tiny_files, **EVIL, "config.json": json.dumps(config).encode()})
    hub.asked.clear()
    online("load_backbone('house/evil')")
    assert "model.safetensors" in hub.fetched("house/evil")
    assert not hub.fetched("house/evil") & EVIL.keys()


def test_a_model_that_leads_out_of_its_folder_is_refused(online, model, hub):
    held = dict(hub.repositories["me/model"].commits[model])
    told = {**json.loads(held["model.json"]), "adapters": {"geo": "../../../geo-1"}}
    hub.put("me/leading-out", {**held, "model.json": json.dumps(told).encode()})
    with pytest.raises(Exception, match=r"^StorageError: .*lies in '../../../geo-1', which is not inside"):
        online("KnowledgeModel.from_pretrained('me/leading-out')")


FINETUNE = """
from kadapter import Recipe, finetune
from knowledge_data import sample_path
recipe = Recipe.from_dict({
    "name": "over",
    "backbone": "house/tiny@COMMIT",
    "source": {"name": "fewrel", "path": str(sample_path("fewrel"))},
    "task": {"name": "relation-classification"},
    "adapters": {"geo": "me/geo"},
    "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2},
})
result = finetune(recipe, folder / "over").result["from_hub"]
"""


def test_a_run_over_an_adapter_from_the_hub_says_of_which_commit(online, model, geo, hub, home):
    first = next(iter(hub.repositories["house/tiny"].commits))
    told = online(FINETUNE.replace("COMMIT", first))
    assert told == {"geo": {"repository": "me/geo", "revision": geo[2]}}
    assert json.loads((home / "over" / "model.json").read_text())["backbone"]["revision"] == first


# --- without network


def test_what_is_in_the_cache_works_offline(online, offline, model, geo, hub, home):
    online("KnowledgeModel.from_pretrained('me/model'); load_adapter('me/geo', tiny.info)")
    hub.asked.clear()
    offline(f"folder = Path({str(home)!r}); model = KnowledgeModel.from_pretrained('me/model'); tiny = model.backbone")
    assert same(offline, "model.adapters['geo']", 1)
    assert same(offline, "load_adapter('me/geo', tiny.info)", 2)
    assert same(offline, f"load_adapter('me/geo@{geo[1]}', tiny.info)", 1)
    assert hub.asked == []


@pytest.mark.parametrize(
    "call", ["run('inspect', 'me/nothing')", "run('compose', 'me/nothing', '--output', 'x', '--backbone', 'minilm')"]
)
def test_what_is_not_in_the_cache_is_one_line_offline(offline, call):
    code, out, err = offline(f"result = {call}")
    assert (code, out, err.count("error: ")) == (2, "", 1)
    assert "it is not in the cache, and HF_HUB_OFFLINE=1 forbids to fetch it; run this once without" in err


def test_without_network_it_is_one_line(online, geo, hub):
    online("load_adapter('me/geo', tiny.info)")
    with hub.unreachable():
        assert same(online, "load_adapter('me/geo', tiny.info)", 2)
        composed = online("result = run('compose', 'me/unknown', '--output', 'x', '--backbone', 'minilm')")
        pushed = online("result = run('push', str(folder / 'geo-1'), 'me/x')")
    for code, out, err in (composed, pushed):
        assert (code, out, err.count("error: "), "Traceback" in err) == (2, "", 1, False), err
    assert f"was not fetched from {hub.endpoint}; check the connection" in composed[2]
    assert "'me/x' on the Hub: " in pushed[2]


# --- what can be wrong


@pytest.fixture(scope="module")
def others(hub, model, tiny_files):
    """Repositories that hold no adapter."""
    hub.put("house/gated", {"adapter.json": b"{}"}, gated=True)
    hub.put("house/plain", {"notes.txt": b"x", ".gitattributes": b""})
    hub.put("house/peft", {"adapter_config.json": b"{}", "adapter_model.bin": b""})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "me/missing",
            r"makes one\); and 'me/missing' on the Hub: there is no such repository, or it is private; check",
        ),
        ("me/geo@nowhere", "'me/geo', revision nowhere, on the Hub: it has no such revision; give a branch, a tag"),
        ("house/gated", "'house/gated' on the Hub: it is gated; accept its terms"),
        ("house/tiny", 'which holds a transformers model, to be used as a backbone: `--backbone "house/tiny"`'),
        ("me/model", 'which holds a whole model, for `KnowledgeModel.from_pretrained\\("me/model"\\)`'),
        ("house/peft", "which holds an adapter of another library; download it and see `kadapter import`"),
        ("house/plain", "which holds notes.txt; `kadapter push` puts an adapter there"),
    ],
)
def test_what_is_no_adapter_is_one_line(online, others, name, said):
    with pytest.raises(Exception, match=f"^StorageError: no saved adapter in .*{said}") as caught:
        online(f"load_adapter({name!r}, tiny.info)")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("'me/missing'", "'me/missing' cannot be loaded .there is no such repository, or it is private"),
        ("'house/tiny', revision='nowhere'", "'house/tiny' cannot be loaded .it has no such revision"),
        ("'me/geo@nowhere'", "'me/geo' cannot be loaded .it has no such revision"),
    ],
)
def test_what_is_no_model_and_no_backbone_is_one_line(online, others, call, said):
    with pytest.raises(Exception, match=f"^BackboneError: backbone {said}") as caught:
        online(f"KnowledgeModel.from_pretrained({call})")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("geo-1", "me/geo geo"), "'me/geo geo' on the Hub: "),
        (("tiny-bert", "me/geo"), "there is no saved adapter, run or model in"),
        (("nowhere", "me/geo"), "there is no saved adapter, run or model in"),
    ],
)
def test_what_cannot_be_pushed_is_one_line(online, geo, words, said):
    code, out, err = online(f"result = run('push', str(folder / {words[0]!r}), {words[1]!r})")
    assert (code, out, err.count("error: ")) == (2, "", 1)
    assert said in err
    assert "Traceback" not in err


def broken(folder, damage):
    """Damage what `model.json` says."""
    said = json.loads((folder / "model.json").read_text())
    damage(said)
    (folder / "model.json").write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "README.md").write_bytes(b"\xff"), "README.md: it is not text"),
        (lambda f: broken(f, lambda said: said.update(adapters={"geo": "../runs/geo"})), "which is not inside"),
        (lambda f: broken(f, lambda said: said.pop("adapters")), "does not say what a saved"),
        (lambda f: broken(f, lambda said: said.pop("backbone")), "does not say what a saved"),
    ],
)
def test_what_is_saved_wrongly_is_not_pushed(tiny, tmp_path, damage, said):
    KnowledgeModel(tiny("bert")).save_pretrained(tmp_path)
    damage(tmp_path)
    with pytest.raises(StorageError, match=said) as caught:
        push_to_hub(tmp_path, "me/model")
    assert "\n" not in str(caught.value)


def test_who_may_not_write_is_told_to_log_in(online, geo):
    with pytest.raises(Exception, match=r"^StorageError: 'me/geo' on the Hub: .*log in"):
        online("push_to_hub(folder / 'geo-1', 'me/geo', token='hf_other')")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("me/geo", ("me/geo", None)),
        ("me/geo@main", ("me/geo", "main")),
        ("me/geo@refs/pr/1", ("me/geo", "refs/pr/1")),
        ("geo", None),
        ("./geo", None),
        ("../me/geo", None),
        ("/me/geo", None),
        ("runs/me/geo", None),
        ("me/geo@", None),
        ("me/../geo", None),
    ],
)
def test_what_is_an_id(text, parts):
    assert hub_id(text) == parts


def test_what_exists_is_no_id(tmp_path, monkeypatch):
    (tmp_path / "me" / "geo").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert hub_id("me/geo") is None
    assert hub_id("me/lakes@main") is None
    assert hub_id("you/geo") == ("you/geo", None)
    assert hub_id(tmp_path / "me") is None
