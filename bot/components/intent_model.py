"""The intent model: which intent a text has, how surely, and from what score on it is to be believed.

Knows nothing of Rasa: texts and sentence vectors in, confidences out. What was tried and how it was chosen is in
`docs/decisions/intents.md`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cached_property
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, get_lapack_funcs
from scipy.sparse import csc_matrix, csr_matrix
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer

from bot.language import written_in

CHARACTERS = 0.3
"""Weight of the similarity by characters, where that of the sentence vectors has 1."""

SHARPNESS = 0.8
"""How fast the kernel falls with dissimilarity: `exp(2 * SHARPNESS * (similarity - 1))`."""

RIDGE = 0.05
"""Regularisation of the kernel ridge regression."""

NEIGHBOURS = 3
"""Over how many nearest training sentences the similarity of a text to the known is averaged."""

TOPICS = 3
"""Groups of alike intents that are left out in turn, to see how strangers score."""

WORTH = 0.2
"""What refusing a stranger is worth, where understanding a sentence that belongs to an intent is worth 1.

A left-out topic lies nearer to what is known than most strangers do, so that they are refused more often than this
says. Chosen by cross-validation (docs/decisions/intents.md).
"""

MOST_REFUSED = 0.1
"""Share of the rightly understood training sentences that the threshold refuses at most."""

BUNCHED = 0.5
"""Mean similarity among the sentences of a language from which on their vectors are seen from their own centre.

multilingual-e5 puts any two Japanese sentences at .80 to .88, MiniLM any two English ones at 0 to .3.
"""

CHUNK = 1000
"""Rows of the kernel made at a time, so that only one matrix of n x n is ever in memory."""


def normalise(text: str) -> str:
    """One form for what looks the same: width, case and spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


class Characters:
    """What a fitted `TfidfVectorizer` with `sublinear_tf` makes of one text at a time.

    What it does for one text is quick; its checks and its sparse products, made for many, take most of the time.
    """

    def __init__(self, features: TfidfVectorizer) -> None:
        """Args:
        features: fitted.
        """
        self._analyse = features.build_analyzer()
        self._columns = features.vocabulary_
        self._rarity = np.asarray(features.idf_, dtype=features.dtype)

    def weights(self, text: str) -> Tuple[np.ndarray, np.ndarray]:
        """Of the row that `transform([text])` gives, the columns that are not zero, in their order, and what they hold."""
        counts = Counter(self._columns[gram] for gram in self._analyse(text) if gram in self._columns)
        columns = np.array(sorted(counts), dtype=np.int32)
        values = np.array([counts[column] for column in columns], dtype=self._rarity.dtype)
        values = (np.log(values) + 1) * self._rarity[columns]
        values /= np.sqrt(values @ values) or 1
        return columns, values


class IntentModel:
    """Kernel ridge regression on one column an intent, with a Gaussian kernel over meaning and characters.

    Far from every training sentence all columns go to zero, so that the model itself says that it knows nothing; the
    mean similarity to the nearest sentences sharpens that. A confidence of 0.5 is the threshold, whatever the data.
    """

    def __init__(self, state: Dict[str, Any]) -> None:
        """Args:
        state: what `fit` learnt: arrays, texts and scikit-learn estimators only, so that it can be stored safely.
        """
        self.state = state

    @classmethod
    def fit(
        cls, texts: Sequence[str], labels: Sequence[str], vectors: Optional[np.ndarray], outside: str
    ) -> IntentModel:
        """Learns from labelled texts. Needs memory for n x n numbers of 4 bytes.

        Args:
            texts: training sentences.
            labels: their intents.
            vectors: their sentence vectors of unit length, shape (n, d); None for a model without.
            outside: the label of sentences that belong to no intent; there may be none.
        """
        features = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, dtype=np.float32)
        rows = features.fit_transform([normalise(text) for text in texts])
        names, columns = np.unique(np.asarray(labels), return_inverse=True)
        targets = np.eye(len(names), dtype=np.float32)[columns]
        state = {
            "features": features,
            "rows": rows,
            "vectors": None,
            "labels": [str(name) for name in names],
            "outside": outside,
        }
        if vectors is not None:
            state["centres"] = centres_of(texts, vectors)
            state["vectors"] = centred(texts, vectors, state["centres"])
        model = cls(state)
        topics = _topics(rows.toarray() if vectors is None else state["vectors"], columns, names == outside)
        kernel, near, near_others = model._kernel_of_training(topics)
        state["weights"], left_out, topic_left_out = _solve(kernel, targets, topics)
        raw, strange = model._raw(left_out, near), model._raw(topic_left_out, near_others)
        if outside in names:
            strange[topics < 0] = raw[topics < 0]
            strange[:, names == outside] = 0
        understood = (raw.argmax(1) == columns) & (names[columns] != outside)
        state["threshold"] = _threshold(raw.max(1)[understood], strange.max(1))
        return model

    @property
    def labels(self) -> List[str]:
        """The intents, in the order of `confidences`."""
        return list(self.state["labels"])

    def confidences(self, texts: Sequence[str], vectors: Optional[np.ndarray]) -> np.ndarray:
        """How much speaks for each intent, shape (n, intents), from 0 to below 1; to be believed from 0.5 on."""
        plain = [normalise(text) for text in texts]
        if len(plain) == 1:
            characters = self._alike(plain[0])
        else:
            characters = self._alike_each(self.state["features"].transform(plain))
        similarity = self._similarity(
            characters, None if vectors is None else centred(texts, vectors, self.state["centres"])
        )
        raw = self._raw(_gaussian(similarity) @ self.state["weights"], _near(similarity))
        return raw / (raw + self.state["threshold"])

    @cached_property
    def _characters(self) -> Characters:
        return Characters(self.state["features"])

    def _raw(self, columns: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Scores before they are put on the scale of the threshold.

        What speaks for outside speaks against every intent, and what speaks for the best intent against outside.
        """
        scores = np.clip(columns, 0.0, None)
        if self.state["outside"] in self.state["labels"]:
            stranger = self.state["labels"].index(self.state["outside"])
            against = scores[:, stranger].copy()
            scores[:, stranger] = 0.0
            for_best = scores.max(axis=1)
            scores = np.clip(scores - against[:, None], 0.0, None)
            scores[:, stranger] = np.clip(against - for_best, 0.0, None)
        return scores * near[:, None]

    @cached_property
    def _known_by_column(self) -> csc_matrix:
        return self.state["rows"].tocsc()

    def _alike(self, text: str) -> np.ndarray:
        """Similarity by characters of one text to every training sentence, shape (1, n), from the few columns that it has."""
        known = self._known_by_column
        columns, values = self._characters.weights(text)
        starts = known.indptr[columns]
        lengths = known.indptr[columns + 1] - starts
        places = np.arange(lengths.sum()) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        shares = known.data[places] * np.repeat(values, lengths)
        return np.bincount(known.indices[places], shares, known.shape[0]).astype(np.float32)[None]

    def _alike_each(self, rows: csr_matrix) -> np.ndarray:
        """The same of many texts, shape (texts, n)."""
        return (rows @ self.state["rows"].T).toarray()

    def _similarity(self, characters: np.ndarray, vectors: Optional[np.ndarray]) -> np.ndarray:
        """Similarity to every training sentence, at most 1."""
        if vectors is None:
            return characters
        # A vector is zero in the blocks of encoders of other languages: those columns of all sentences need not be read.
        used = np.flatnonzero(vectors.any(axis=0))
        part = slice(used[0], used[-1] + 1) if len(used) else slice(0)
        meaning = vectors[:, part] @ self.state["vectors"][:, part].T
        return (meaning + CHARACTERS * characters) / (1 + CHARACTERS)

    def _kernel_of_training(self, topics: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The kernel among the training sentences, how near each is to the others, and to those of other topics."""
        rows, vectors = self.state["rows"], self.state["vectors"]
        count = rows.shape[0]
        kernel = np.empty((count, count), dtype=np.float32)
        near, near_others = np.empty((2, count), dtype=np.float32)
        for start in range(0, count, CHUNK):
            part = slice(start, min(start + CHUNK, count))
            similarity = self._similarity(self._alike_each(rows[part]), None if vectors is None else vectors[part])
            kernel[part] = _gaussian(similarity)
            similarity[np.arange(len(similarity)), np.arange(part.start, part.stop)] = -1.0
            near[part] = _near(similarity)
            similarity[topics[part, None] == topics[None]] = -1.0
            near_others[part] = _near(similarity)
        return kernel, near, near_others


def _japanese(texts: Sequence[str]) -> np.ndarray:
    return np.array([written_in(text) == "ja" for text in texts], dtype=np.int64)


def centres_of(texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """The mean vector of each language, shape (2, d): others, Japanese. Zero where they are not bunched."""
    centres = np.zeros((2, vectors.shape[1]), dtype=np.float32)
    languages = _japanese(texts)
    for language in np.unique(languages):
        centre = vectors[languages == language].mean(axis=0)
        if centre @ centre >= BUNCHED:  # the mean similarity of all pairs
            centres[language] = centre
    return centres


def centred(texts: Sequence[str], vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The vectors seen from the centre of their language, of unit length again."""
    moved = np.asarray(vectors, dtype=np.float32) - centres[_japanese(texts)]
    return moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)


def _gaussian(similarity: np.ndarray) -> np.ndarray:
    return np.exp(2 * SHARPNESS * (similarity - 1))


def _near(similarity: np.ndarray) -> np.ndarray:
    """Mean similarity to the nearest, never negative."""
    count = min(NEIGHBOURS, similarity.shape[1])
    nearest = np.partition(similarity, similarity.shape[1] - count, axis=1)[:, -count:]
    return np.clip(nearest.mean(axis=1), 0.0, None)


def _topics(features: np.ndarray, intents: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Which group of alike intents each sentence belongs to; -1 where to none of the intents.

    Args:
        features: of the sentences, one row each.
        intents: their numbers.
        outside: for each intent, whether it stands for none of the others.
    """
    inside = np.flatnonzero(~outside)
    centres = np.stack([features[intents == intent].mean(axis=0) for intent in inside])
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    groups = np.full(len(outside), -1)
    groups[inside] = KMeans(min(TOPICS, len(inside)), n_init=5, random_state=0).fit_predict(centres)
    return groups[intents]


def _threshold(understood: np.ndarray, strange: np.ndarray) -> float:
    """The score from which on an intent is believed: where understanding and refusing together are worth most.

    Args:
        understood: scores of the sentences whose intent was found, each left out of training.
        strange: the highest scores of sentences whose topic was left out of training, or that belong to no intent.
    """
    if not len(understood):
        return 1e-6
    candidates = np.quantile(understood, np.linspace(0, MOST_REFUSED, 201))
    refused = np.searchsorted(np.sort(strange), candidates) / max(len(strange), 1)
    passed = 1 - np.searchsorted(np.sort(understood), candidates) / len(understood)
    return float(max(candidates[np.argmax(passed + WORTH * refused)], 1e-6))


def _solve(kernel: np.ndarray, targets: np.ndarray, topics: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel ridge regression, its predictions for each training row had it been left out, and had its topic been.

    The latter two are exact (Rasmussen & Williams, Gaussian Processes for Machine Learning, eq. 5.12, for one row and for
    several): the target minus the weight over the inverse's block of what is left out. Overwrites `kernel`.

    Returns:
        weights and both kinds of predictions, each of shape (n, intents).
    """
    kernel[np.diag_indices_from(kernel)] += RIDGE
    factor = cho_factor(kernel.T, lower=True, overwrite_a=True, check_finite=False)
    weights = cho_solve(factor, targets, check_finite=False)
    invert = get_lapack_funcs("potri", (factor[0],))
    inverse, _ = invert(factor[0], lower=1, overwrite_c=1)
    topic_left_out = np.zeros_like(targets)
    for topic in np.unique(topics[topics >= 0]):
        own = np.flatnonzero(topics == topic)
        block = cho_factor(inverse[np.ix_(own, own)], lower=True, overwrite_a=True, check_finite=False)
        topic_left_out[own] = targets[own] - cho_solve(block, weights[own], check_finite=False)
        topic_left_out[np.ix_(own, np.flatnonzero(targets[own].any(axis=0)))] = 0  # they would not exist
    return weights, targets - weights / np.diag(inverse)[:, None], topic_left_out
