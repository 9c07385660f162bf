"""What other costs are compared with: the student, forward and backward."""

from collections.abc import Callable
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

from speechbrain_kd.bench.common import Options
from speechbrain_kd.speed.graphs import GraphedEncoder
from speechbrain_kd.speed.modules import skip_empty_padding

MELS = 80
CLASSES = 200


class Learner(torch.nn.Module):
    """A student, its classifier and its loss, as a training has them.

    Arguments
    ---------
    fragment : Path
        The student's yaml.
    """

    def __init__(self, fragment: Path) -> None:
        super().__init__()
        text = f"embedding_model: !include:{fragment.resolve()}"
        self.model = load_hyperpyyaml(text)["embedding_model"]
        skip_empty_padding(self.model)
        with torch.no_grad():
            dim = self.model.eval()(torch.zeros(1, 50, MELS)).shape[-1]
        self.classifier = Classifier(dim, out_neurons=CLASSES)
        self.encoder = GraphedEncoder(self.model)
        self.cost = LogSoftmaxWrapper(AdditiveAngularMargin(0.2, 30))
        self.train()

    def forward(
        self, feats: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """The loss.

        Arguments
        ---------
        feats : torch.Tensor
            Features [batch, time, mels].
        labels : torch.Tensor
            Classes [batch, 1].

        Returns
        -------
        torch.Tensor
            A scalar.
        """
        embeddings = self.encoder(feats).flatten(1).unsqueeze(1)
        return self.cost(self.classifier(embeddings), labels)


def student_step(
    options: Options, feats: torch.Tensor
) -> Callable[[], torch.Tensor]:
    """Forward and backward pass of the student, from features to gradients.

    Arguments
    ---------
    options : Options
        Which student, and where it computes.
    feats : torch.Tensor
        Features [batch, time, mels] on that device.

    Returns
    -------
    Callable[[], torch.Tensor]
        A step; gives the loss. The optimiser is not in it.
    """
    fragment = options.students / f"{options.student}.yaml"
    if not fragment.is_file():
        raise ValueError(f"--student {options.student}: no file {fragment}")
    learner = Learner(fragment).to(options.device)
    labels = torch.arange(len(feats), device=options.device)[:, None] % CLASSES

    def step():
        learner.zero_grad(set_to_none=True)
        loss = learner(feats, labels)
        loss.backward()
        return loss.detach()

    return step
