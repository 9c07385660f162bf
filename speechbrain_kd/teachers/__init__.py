"""Frozen teachers: waveforms in, embeddings and class scores out.

A teacher owns its features, so it is fed waveforms, never the student's
features. :class:`~speechbrain_kd.teachers.base.Teacher` is the contract; each
other file is one place a teacher may come from.
"""

from speechbrain_kd.teachers.base import Teacher, TeacherOutput
from speechbrain_kd.teachers.ensemble import EnsembleTeacher
from speechbrain_kd.teachers.exported import ExportedTeacher
from speechbrain_kd.teachers.labels import align_classes
from speechbrain_kd.teachers.onnx import OnnxTeacher
from speechbrain_kd.teachers.prototypes import PrototypeTeacher
from speechbrain_kd.teachers.reduced import ReducedTeacher
from speechbrain_kd.teachers.run import RunTeacher
from speechbrain_kd.teachers.speechbrain import SpeechBrainTeacher
from speechbrain_kd.teachers.torch_module import TorchTeacher
from speechbrain_kd.teachers.trust import DEFAULT_ALLOWED, check_yaml

__all__ = [
    "DEFAULT_ALLOWED",
    "EnsembleTeacher",
    "ExportedTeacher",
    "OnnxTeacher",
    "PrototypeTeacher",
    "ReducedTeacher",
    "RunTeacher",
    "SpeechBrainTeacher",
    "Teacher",
    "TeacherOutput",
    "TorchTeacher",
    "align_classes",
    "check_yaml",
]
