"""Data: preparation of VoxCeleb-shaped corpora, and audio reading."""

from speechbrain_kd.data.audio import audio_info, load_audio
from speechbrain_kd.data.corpus import Corpus, load_corpus
from speechbrain_kd.data.decoders import SAMPLE_RATE, AudioInfo
from speechbrain_kd.data.prepare import prepare_corpus

__all__ = [
    "SAMPLE_RATE",
    "AudioInfo",
    "Corpus",
    "audio_info",
    "load_audio",
    "load_corpus",
    "prepare_corpus",
]
