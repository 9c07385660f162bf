"""A teacher from a training run of our own."""

from collections.abc import Sequence
from pathlib import Path

from speechbrain_kd.teachers.speechbrain import SpeechBrainTeacher


class RunTeacher(SpeechBrainTeacher):
    """The model that a finished run of ``train_kd.py`` left in its folder,
    ``<run>/export``.

    Arguments
    ---------
    source : str
        The run folder (``output_folder`` of the run).
    recipe : str | None
        The yaml of that run, so that it can be made where it is missing.
    trained_on : Sequence[str]
        Names of the corpora that the run was trained on.
    allowed : Sequence[str]
        Further module prefixes whose model classes the export may name.
    projector : bool
        As ``SpeechBrainTeacher`` takes it.

    Raises
    ------
    FileNotFoundError
        If the run has not finished.

    Example
    -------
    >>> RunTeacher("results/none", recipe="hparams/teacher.yaml")
    Traceback (most recent call last):
    ...
    FileNotFoundError: ... run `python train_kd.py hparams/teacher.yaml` ...
    """

    def __init__(
        self,
        source: str,
        recipe: str | None = None,
        trained_on: Sequence[str] = (),
        allowed: Sequence[str] = (),
        projector: bool = False,
    ) -> None:
        export = Path(source) / "export"
        if not (export / "hyperparams.yaml").is_file():
            raise FileNotFoundError(
                f"The teacher's run {source} has not finished (there is no "
                f"{export / 'hyperparams.yaml'}): run `python train_kd.py "
                f"{recipe or 'RECIPE.yaml'}` first"
            )
        super().__init__(
            str(export),
            trained_on=trained_on,
            allowed=allowed,
            projector=projector,
        )
        self.source = str(source)
        self.recipe = recipe
