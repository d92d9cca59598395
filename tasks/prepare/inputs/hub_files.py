"""The files of a data set's split on the hub, at a pinned commit, on this machine."""

from pathlib import Path

from evalsuite.core.errors import UsageError
from evalsuite.network.hub import HubRepo, RepoKind, fetched, here
from evalsuite.network.outside import Repository
from tasks.config.prepare import HubSource, PrepareParams

KEY = "prepare.sources"
REMEDY = "put the rows as files into data/raw and name them there"


def repo_of(source: HubSource) -> HubRepo:
    """The repository at its commit."""
    return HubRepo(RepoKind.DATASET, source.name, source.revision)


def hub_repositories(params: PrepareParams) -> list[Repository]:
    """What the sources need of the hub before anything is spent."""
    return [
        Repository(params.key_of(entry), repo_of(source.hub), REMEDY)
        for entry, source in enumerate(params.entries)
        if source.hub is not None
    ]


def hub_files(source: HubSource, fetch: bool) -> list[tuple[str, Path]]:
    """(name in messages, path) of each file of the split, sorted; the library ``datasets`` knows which these are.

    No code of the repository runs: datasets reads its card and the names of its files.

    Args:
        source: Data set, commit, configuration and split.
        fetch: Download it where it is not here; otherwise it has no files.

    Raises:
        UsageError: The hub has no such data set or commit, or the data set has no such split.
        StageError: The hub does not answer.
    """
    repo = repo_of(source)
    folder = fetched(repo, KEY, REMEDY) if fetch else here(repo)
    if folder is None:
        return []
    found = []
    for path in _split_files(folder, source):
        if not path.is_relative_to(folder):
            raise UsageError(f"{KEY}: {source} names files beside its own ({path.name}); {REMEDY}")
        found.append((f"hub:{source.name}@{source.revision[:12]}/{path.relative_to(folder).as_posix()}", path))
    return sorted(found)


def _split_files(folder: Path, source: HubSource) -> list[Path]:
    import datasets

    try:
        builder = datasets.load_dataset_builder(str(folder), name=source.config)
        files = builder.config.data_files or {}
    except (ValueError, FileNotFoundError, datasets.exceptions.DatasetsError) as error:
        said = " ".join(str(error).split()).replace(str(folder), source.name)[:300]
        raise UsageError(f"{KEY}: {source}: datasets cannot read it ({said}); {REMEDY}") from None
    if source.split not in files:
        raise UsageError(
            f"{KEY}: {source}: no split {source.split!r}; it has {', '.join(map(str, files)) or 'none'}: write "
            f"hub:{source.name}@{source.revision}:SPLIT"
        )
    return [Path(str(file)) for file in files[source.split]]
