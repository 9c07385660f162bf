"""Speaker verification on a device: numpy and onnxruntime, no torch.

    verifier = SpeakerVerifier("student.onnx")
    verifier.verify(one_waveform, other_waveform).same_speaker

The file is made by ``speechbrain-kd export RUN --to onnx --output FILE``.
"""

from speechbrain_kd.runtime.enrolment import Enrolment
from speechbrain_kd.runtime.verifier import SpeakerVerifier, Verdict
from speechbrain_kd.runtime.wav import read_wav

__all__ = ["Enrolment", "SpeakerVerifier", "Verdict", "read_wav"]
