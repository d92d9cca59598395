"""spaCy's model as Presidio reads it; imported where it is used, since both take seconds."""

import warnings
from bisect import bisect
from functools import cache
from typing import Any

import spacy
from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
from presidio_analyzer.nlp_engine import NerModelConfiguration, NlpArtifacts, SpacyNlpEngine

from evalsuite.core.errors import UsageError

NOT_NEEDED = ("tagger", "parser", "senter", "attribute_ruler", "lemmatizer")
"""Parts of spaCy's models that entities do not need: they take most of the time."""
ALSO_CONTEXT = frozenset(("call", "name"))
"""Words that spaCy takes for empty and that explain a number."""
LABELS = {
    **{"PERSON": "PERSON", "PER": "PERSON", "NORP": "NRP", "MISC": "NRP"},
    **{"LOC": "LOCATION", "GPE": "LOCATION", "FAC": "LOCATION", "ORG": "ORGANIZATION"},
    **{"DATE": "DATE_TIME", "TIME": "DATE_TIME"},
}
"""What spaCy's models call entities -> Presidio's names."""


class Engine(SpacyNlpEngine):  # type: ignore[misc]
    """Reads with one loaded model, on the processor alone; words stand for their lemmas, which take long to find."""

    def __init__(self, language: str, nlp: Any, ignored: list[str]) -> None:
        """Take a loaded model."""
        super().__init__(
            [{"lang_code": language, "model_name": nlp.meta["name"]}],
            NerModelConfiguration(model_to_presidio_entity_mapping=LABELS, labels_to_ignore=ignored),
        )
        self.nlp = {language: nlp}

    def _doc_to_nlp_artifact(self, doc: Any, language: str) -> NlpArtifacts:
        entities, scores = self._get_updated_entities(self._get_entities(doc), self._get_scores_for_entities(doc))
        words, places = [token.lower_ for token in doc], [token.idx for token in doc]
        artifacts = NlpArtifacts(entities, doc, places, words, None, language, scores)
        telling = (token for token in doc if not token.is_punct and not token.is_space)
        artifacts.keywords = {token.lower_ for token in telling if not token.is_stop or token.lower_ in ALSO_CONTEXT}
        return artifacts


class Enhancer(LemmaContextAwareEnhancer):  # type: ignore[misc]
    """Looks for words around what was found, with a time that does not grow with the square of the text."""

    def __init__(self) -> None:
        """Look at five words before and three behind."""
        super().__init__(context_suffix_count=3, context_matching_mode="whole_word")

    @staticmethod
    def _find_index_of_match_token(word: str, start: int, tokens: Any, tokens_indices: list[int]) -> int:
        return max(bisect(tokens_indices, start) - 1, 0)


@cache
def engine(model: str, language: str, entities: bool) -> Engine:
    """A model that only cuts words, and guesses entities where they are asked for.

    Raises:
        UsageError: It is a model of another language, or cannot be loaded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nlp = spacy.load(model, exclude=[*NOT_NEEDED, *(() if entities else ("ner",))])
    except (OSError, ValueError, ImportError) as error:
        what = type(error).__name__
        raise UsageError(f"personal_data.model: {model} cannot be loaded ({what}); install it again") from None
    if nlp.lang != language:
        raise UsageError(
            f"personal_data.language is {language!r}, and the model {model} is for {nlp.lang!r}; name a model of the "
            "language in personal_data.model (`pip install` it first), or change personal_data.language"
        )
    if entities and "ner" not in nlp.pipe_names:
        raise UsageError(f"personal_data.model: {model} guesses no entities; name one that has a part `ner`")
    if "tok2vec" in nlp.pipe_names and "ner" not in nlp.get_pipe("tok2vec").listening_components:
        nlp.remove_pipe("tok2vec")
    labels = nlp.get_pipe("ner").labels if entities else ()
    return Engine(language, nlp, [label for label in labels if label not in LABELS])
