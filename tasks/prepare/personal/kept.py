"""What was found in a text before, so that a new file costs what its own texts cost.

The folder has kinds, places and scores under the hash of each text, and no text. Whatever decides what is found is part
of the name of its file: the settings, the versions of the packages and this code.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from evalsuite.core.files import sha256_json
from evalsuite.core.imports import sources_sha256
from evalsuite.engines.cache.answer_store import AnswerStore, StoredAnswer
from tasks.prepare.personal.entities import MODEL_ENTITIES
from tasks.prepare.personal.finding import Wanted, find_all
from tasks.prepare.personal.reading import Found

PACKAGES = ("presidio-analyzer", "phonenumbers", "spacy", "tldextract")
FOUND = "found"


def found_or_kept(texts: Sequence[str], wanted: Wanted, processes: int, folder: Path) -> Iterator[list[Found]]:
    """What each text holds, in their order; texts that were looked through before are not looked through again.

    Args:
        texts: Each once.
        wanted: What is looked for.
        processes: How many look.
        folder: What was found before; each text's is kept at once, so that a stopped run goes on where it was.

    Raises:
        StageError: A recogniser failed; nothing of the text is said.
    """
    store = AnswerStore(folder, maker(wanted))
    try:
        keys = [sha256_json(text) for text in texts]
        known = store.read(keys)
        missing = [at for at, key in enumerate(keys) if key not in known]
        fresh = find_all([texts[at] for at in missing], wanted, processes)
        for key in keys:
            if key in known:
                yield [Found(*each) for each in known[key].answer[FOUND]]
                continue
            started = time.perf_counter()
            found = next(fresh)
            store.write(key, StoredAnswer({FOUND: [list(each) for each in found]}, time.perf_counter() - started))
            yield found
    finally:
        store.close()


def maker(wanted: Wanted) -> str:
    """Everything but the text that decides what is found in it."""
    settings = asdict(wanted) | {"entities": sorted(wanted.entities)}
    model = (wanted.model,) if wanted.entities & MODEL_ENTITIES.keys() else ()
    versions = {name: version(name) for name in (*PACKAGES, *model)}
    return sha256_json([settings, versions, sources_sha256("tasks.prepare.personal.finding")])
