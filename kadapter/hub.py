"""The Hugging Face Hub: saved adapters and models go there and come from there, as JSON and safetensors.

Nothing else is fetched: no pickle, no code. `huggingface_hub.ModelHubMixin` does not fit: its `from_pretrained` takes
an id or a folder of one class, where ours also takes backbones and plugs adapters in; it builds models from arguments
that are JSON; and it writes a `config.json`, for which a saved model would be taken for a transformers model.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from kadapter.card import adapter_card, model_card
from kadapter.errors import StorageError
from kadapter.files import as_json, inside, read_json, read_text
from kadapter.privacy import own_paths, text_without_paths, without_paths

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, HfApi
    from typing_extensions import Unpack

ADAPTER = ("adapter.json", "adapter.safetensors", "README.md")
MODEL = ("model.json", "model.safetensors", *ADAPTER, *(f"adapters/*/{name}" for name in ADAPTER))
"""What goes to the Hub and comes from there."""

_SMALL = ("config.json", "README.md")

_ID = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*)(?:@([\w./-]+))?")

_SIGNS = {
    "adapter.json": "an adapter, to be plugged: `adapters=[{id}]`",
    "model.json": "a whole model, for `KnowledgeModel.from_pretrained({id})`",
    "adapter_config.json": "an adapter of another library; download it and see `kadapter import`",
    "config.json": "a transformers model, to be used as a backbone: `--backbone {id}`",
}
"""File of a repository -> what lies there, and what to do with it."""


class Access(TypedDict, total=False):
    """How the Hub is reached, by the names that its users know.

    Attributes:
        token: by default the one of `hf auth login` or `HF_TOKEN`.
        cache_dir: by default the Hub's own cache.
        local_files_only: take what the cache has.
        force_download: fetch again what the cache has.
    """

    token: str | bool | None
    cache_dir: str | Path | None
    local_files_only: bool
    force_download: bool


@dataclass(frozen=True)
class Fetched:
    """What was fetched.

    Attributes:
        folder: in the cache.
        repository: "user/name".
        revision: the commit.
    """

    folder: Path
    repository: str
    revision: str

    @property
    def pinned(self) -> str:
        """The id with the commit, which always means the same."""
        return f"{self.repository}@{self.revision}"

    def as_dict(self) -> dict[str, str]:
        """Give what is written down of it."""
        return {"repository": self.repository, "revision": self.revision}


def hub_id(text: str | Path) -> tuple[str, str | None] | None:
    """Take "user/name@revision" apart; None when it cannot be an id of the Hub.

    What exists is none, nor is what begins with the name of a folder that exists: whoever has that name on the Hub
    could otherwise give the weights for a path with a mistake in it.
    """
    found = None if isinstance(text, Path) or _begins_here(text) else _ID.fullmatch(text)
    return (found[1], found[2]) if found else None


def check_there(text: str) -> None:
    """Raise StorageError when it looks like an id of the Hub, but can only be a folder, and that is not there."""
    if _ID.fullmatch(text) and _begins_here(text) and not Path(text).exists():
        first = Path(text).parts[0]
        raise StorageError(
            f"there is no folder {text}, and since there is a folder '{first}', it is not looked for on the Hub; "
            f"check the path, or go where there is no '{first}' to have it from the Hub"
        )


def _begins_here(text: str) -> bool:
    return Path(text).exists() or Path(*Path(text).parts[:1]).is_dir()


def is_on_hub(text: str | Path) -> bool:
    """Say whether only the Hub can have it: it looks like an id, and no folder here has its first name."""
    return hub_id(text) is not None


def fetch_adapter(text: str, **access: Unpack[Access]) -> Fetched:
    """Fetch an adapter: its files and no other.

    Args:
        text: "user/name" or "user/name@revision".
        access: as `Access` says.

    Raises:
        StorageError: it cannot be had, or the repository holds no adapter.
    """
    repository, revision = hub_id(text) or (text, None)
    try:
        found = _find(repository, revision, "adapter.json", ADAPTER, access)
        held = None if found else _held(repository, revision, access)
    except StorageError as error:
        there = f"no saved adapter in {text}, which is no folder (`kadapter pretrain … --output {text}` makes one)"
        raise StorageError(f"{there}; and {error}") from error
    if found is None:
        raise StorageError(f"no saved adapter in '{text}' on the Hub, which holds {held}")
    return found


def find_saved(
    repository: str, revision: str | None = None, sign: str = "model.json", **access: Unpack[Access]
) -> Fetched | None:
    """Fetch what is saved in a repository that has the file `sign`; None when it has not, or cannot be looked into."""
    try:
        return _find(repository, revision, sign, MODEL, access)
    except StorageError:
        # It may still be a backbone that transformers has in its cache, or whose error says more.
        return None


def commit_of(place: str | Path, revision: str | None = None, **access: Unpack[Access]) -> str | None:
    """Give the commit that a transformers model on the Hub is of; None of a folder, or when it cannot be asked for."""
    if Path(place).exists():
        return None
    try:
        found = _find(str(place), revision, "config.json", (), access)
    except StorageError:
        return None
    return found.revision if found else None


def _find(repository: str, revision: str | None, sign: str, files: tuple[str, ...], access: Access) -> Fetched | None:
    """Fetch `files` of a repository that has the file `sign`; None when it has not.

    Raises:
        StorageError: it cannot be had.
    """
    where: dict[str, Any] = {**access, "repo_id": repository}
    api = _api(where.pop("token", None))
    with _explained(repository, revision):
        folder = _cached(repository, revision, sign, access)
        if folder is None:
            # Whatever has not that file has one of the others, without which there would be a warning.
            folder = Path(api.snapshot_download(revision=revision, allow_patterns=[sign, *_SMALL], **where))
        if not (folder / sign).is_file():
            return None
        if files and (access.get("force_download") or not _is_whole(folder, sign)):
            api.snapshot_download(revision=folder.name, allow_patterns=list(files), **where)
    return Fetched(folder, repository, folder.name)


def _cached(repository: str, revision: str | None, sign: str, access: Access) -> Path | None:
    """Give the folder of a commit, which never changes, when it is in the cache."""
    from huggingface_hub import try_to_load_from_cache

    if access.get("force_download") or not re.fullmatch("[0-9a-f]{40}", revision or ""):
        return None
    found = try_to_load_from_cache(repository, sign, access.get("cache_dir"), revision)
    return Path(found).parent if isinstance(found, str) else None


def _is_whole(folder: Path, sign: str) -> bool:
    return sign == ADAPTER[0] and (folder / ADAPTER[1]).exists()


def push_to_hub(
    folder: Path | str,
    repo_id: str,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    token: str | bool | None = None,
) -> CommitInfo:
    """Put a saved adapter, run or model on the Hugging Face Hub, in one commit; the repository is made if need be.

    Only what loading needs goes there, and the card: neither results nor recipes as files, nor checkpoints. Absolute
    paths are cut to their last part. A card that nobody changed is given the id of the repository.

    Args:
        folder: of the adapter, run or model.
        repo_id: "user/name".
        private: whether a new repository is for its owner alone.
        revision: a branch, which is made if need be.
        commit_message: of the commit.
        token: by default the one of `hf auth login` or `HF_TOKEN`.

    Returns:
        The address of the commit, a string; `oid` is its hash.

    Raises:
        StorageError: the folder holds nothing of kadapter, or the Hub refuses.
    """
    from huggingface_hub import CommitOperationAdd

    files, api = _files(Path(folder)), _api(token)
    ids = {"README.md": repo_id}
    operations = [CommitOperationAdd(name, _public(path, ids.get(name))) for name, path in files.items()]
    with _explained(repo_id, revision):
        api.create_repo(repo_id, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        message = commit_message or f"Save with kadapter {metadata.version('kadapter')}"
        return api.create_commit(repo_id, operations, commit_message=message, revision=revision)


class Saveable(Protocol):
    """What can be written to a folder."""

    def save_pretrained(self, folder: Path | str) -> None:
        """Write it."""


class Pushable:
    """What can be put on the Hub as it is written to a folder."""

    def push_to_hub(self: Saveable, repo_id: str, **options: Any) -> CommitInfo:
        """Save the model and put it on the Hugging Face Hub.

        Args:
            repo_id: "user/name".
            options: `private`, `revision`, `commit_message` and `token`, as `kadapter.push_to_hub` takes them.

        Raises:
            StorageError: the Hub refuses.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_to_hub(folder, repo_id, **options)


def _files(folder: Path) -> dict[str, Path]:
    """Give name in the repository -> file."""
    if not any((folder / sign).is_file() for sign in ("adapter.json", "model.json")):
        raise StorageError(
            f"there is no saved adapter, run or model in {folder}; `kadapter pretrain` and `save_pretrained` make one"
        )
    found = sorted({path for pattern in MODEL for path in folder.glob(pattern) if path.is_file()})
    return {path.relative_to(folder).as_posix(): path for path in [*found, folder / "README.md"]}


def _public(path: Path, repository: str | None) -> bytes | str:
    """Give what goes to the Hub of a file, without paths of this machine: the file itself where it has none."""
    if path.name == "README.md":
        return _card(path.parent, repository).encode()
    said = read_json(path, "saved description") if path.suffix == ".json" else {}
    private = own_paths(said)
    return as_json(without_paths(said, private)).encode() if private else str(path)


def _card(folder: Path, repository: str | None) -> str:
    """Give the folder's card, with the id of the repository where it says how it is used."""
    path = folder / "README.md"
    text = read_text(path) if path.is_file() else ""
    try:
        said, made = _cards(folder)
        card = made(repository) if text in ("", made(None)) else text
    except (LookupError, TypeError, AttributeError) as error:
        raise StorageError(f"{folder} does not say what a saved adapter or model says; save it again") from error
    return text_without_paths(card, own_paths(said))


def _cards(folder: Path) -> tuple[Any, Callable[[str | None], str]]:
    """Give what is said of what lies in a folder, and how a card is made of it for a repository."""
    model = read_json(folder / "model.json", "saved model") if (folder / "model.json").is_file() else {}
    places = {name: inside(folder, place) for name, place in model["adapters"].items()} if model else {}
    if (folder / "adapter.json").is_file():
        adapter = read_json(folder / "adapter.json", "saved adapter")
        return adapter, partial(adapter_card, adapter)
    adapters = {name: read_json(place / "adapter.json", "saved adapter") for name, place in places.items()}
    return [model, adapters], partial(model_card, model, adapters)


def _api(token: str | bool | None) -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(token=token, library_name="kadapter", library_version=metadata.version("kadapter"))


def _held(repository: str, revision: str | None, access: Access) -> str:
    """Say what a repository holds, and what to do with that."""
    with _explained(repository, revision):
        files = _api(access.get("token")).list_repo_files(repository, revision=revision)
    known = next((told for sign, told in _SIGNS.items() if sign in files), None)
    if known:
        return known.format(id=f'"{repository}"')
    names = sorted(name for name in files if not name.startswith("."))
    return f"{', '.join(names[:3]) or 'nothing'}{' …' if names[3:] else ''}; `kadapter push` puts an adapter there"


# --- what can be wrong


@contextmanager
def _explained(repository: str, revision: str | None) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # what a broken connection raises depends on the version of huggingface_hub
        reason = why(error) or f"{type(error).__name__}: {first_line(error)}"
        raise StorageError(
            f"'{repository}'{f', revision {revision},' if revision else ''} on the Hub: {reason}"
        ) from error


def why(error: BaseException) -> str | None:
    """Say what the Hub's error means and what to do, in one line; None when it is not one of the Hub's."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        return "it is gated; accept its terms on its page there, and log in (`hf auth login`, or HF_TOKEN)"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is no such repository, or it is private; check the id, or log in (`hf auth login`, or HF_TOKEN)"
    if isinstance(error, errors.RevisionNotFoundError):
        return "it has no such revision; give a branch, a tag or a whole commit hash, or leave it out for `main`"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        if constants.HF_HUB_OFFLINE:
            return "it is not in the cache, and HF_HUB_OFFLINE=1 forbids to fetch it; run this once without"
        return f"it is not in the cache, and was not fetched from {constants.ENDPOINT}; check the connection"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.HfHubHTTPError) and status in (401, 403):
        return "you may not do that there; log in (`hf auth login`, or HF_TOKEN) with a token that may"
    return first_line(error) if isinstance(error, errors.HfHubHTTPError | errors.HFValidationError) else None


def first_line(error: BaseException) -> str:
    """Give the first line of an error that says something."""
    return next((line.strip() for line in str(error).split("\n") if line.strip()), type(error).__name__)
