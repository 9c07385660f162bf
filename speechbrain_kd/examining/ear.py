"""A model that hears a corpus, for commands that go by what it hears."""

from argparse import Namespace
from pathlib import Path

import torch

from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.examining.training import heard_of, teach
from speechbrain_kd.model_sources import load_model


class Ear:
    """A speaker model, and a corpus with labels.

    Arguments
    ---------
    options : Namespace
        ``source``, ``data_folder``, ``trials``, ``device``, ``cache`` and
        ``noprogressbar`` of a command.
    name : str
        Of the folder of manifests in the cache.

    Raises
    ------
    ValueError, FileNotFoundError
        If the model is refused, or what is named is not there or cannot be
        used.
    """

    def __init__(self, options: Namespace, name: str) -> None:
        self.cache, self.device = options.cache, options.device
        self.bar = not options.noprogressbar
        self.data_folder, self.source = options.data_folder, options.source
        # A folder of its own: `teach` prepares the training set anew.
        self.manifests = self.cache / name
        self.corpus = prepare_corpus(
            self.data_folder,
            self.manifests,
            verification_file=options.trials,
            single_utterance="train",
            progressbar=self.bar,
        )
        self._model = None

    def hear(
        self, manifest: Path, most: int | None, seconds: float
    ) -> tuple[torch.Tensor, list[str], list[str]]:
        """What the model, loaded on the first call, says of utterances.

        Arguments
        ---------
        manifest : Path
            Of the corpus, or of other audio.
        most : int | None
            Utterances of a speaker, at most.
        seconds : float
            To hear of each, at most.

        Returns
        -------
        tuple[torch.Tensor, list[str], list[str]]
            Embeddings [utterances, dim]; of each the speaker and the id.
        """
        if self._model is None:
            self._model = load_model(self.source, self.device)
            if self._model.learns:
                where = (self.cache, self.device, self.bar)
                teach(self._model, self.data_folder, *where)
        places = (self.corpus, self.cache, self.device, self.bar)
        heard = heard_of(manifest, *places).some(most, seconds)
        return heard.embeddings(self._model), heard.speakers, heard.utterances
