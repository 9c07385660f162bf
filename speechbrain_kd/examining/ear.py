"""A model that hears a corpus, for commands that go by what it hears."""

from argparse import Namespace
from functools import cached_property
from pathlib import Path

import torch

from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.examining.training import heard_of, teach
from speechbrain_kd.model_sources import load_model
from speechbrain_kd.teachers.base import Teacher


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

    @cached_property
    def model(self) -> Teacher:
        """The speaker model, loaded when it is first asked."""
        model = load_model(self.source, self.device)
        if model.learns:
            places = (self.cache, self.device, self.bar)
            teach(model, self.data_folder, *places)
        return model

    def hear(
        self, manifest: Path, most: int | None, seconds: float
    ) -> tuple[torch.Tensor, list[str], list[str]]:
        """What the model says of utterances.

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
        places = (self.corpus, self.cache, self.device, self.bar)
        heard = heard_of(manifest, *places).some(most, seconds)
        return heard.embeddings(self.model), heard.speakers, heard.utterances
