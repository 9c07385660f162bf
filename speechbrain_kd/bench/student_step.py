"""What other costs are compared with: the student, forward and backward."""

from collections.abc import Callable

import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

from speechbrain_kd.bench.common import Options
from speechbrain_kd.speed.modules import skip_empty_padding

MELS = 80
_CLASSES = 200


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
    text = f"embedding_model: !include:{fragment.resolve()}"
    model = load_hyperpyyaml(text)["embedding_model"].to(options.device)
    skip_empty_padding(model)
    with torch.no_grad():
        dim = model.eval()(feats[:1]).shape[-1]
    model.train()
    classifier = Classifier(dim, out_neurons=_CLASSES).to(options.device)
    cost = LogSoftmaxWrapper(AdditiveAngularMargin(margin=0.2, scale=30))
    labels = torch.arange(len(feats), device=options.device)[:, None] % _CLASSES
    parts = torch.nn.ModuleList([model, classifier])

    def step():
        parts.zero_grad(set_to_none=True)
        logits = classifier(model(feats).flatten(1).unsqueeze(1))
        loss = cost(logits, labels)
        loss.backward()
        return loss.detach()

    return step
