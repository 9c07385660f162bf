"""Small encoders, and how an encoder runs.

The students of ``hparams/students/`` are made of SpeechBrain's classes, so
that they load without this package.
"""

from speechbrain_kd.students.encoder import SpeakerEncoder

__all__ = ["SpeakerEncoder"]
