"""Speech for the embedded corpus, spoken by espeak-ng.

espeak-ng comes as a wheel (``espeakng-loader``) and is driven through ctypes.
It keeps state between utterances (random numbers, flutter, the phase of its
roughness) that no call resets, so a fresh copy of the library is loaded for
each utterance: that takes a millisecond and makes the sound a function of its
arguments.
"""

import _ctypes
import ctypes
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

ESPEAK_RATE = 22050

_SYNCHRONOUS, _DONT_EXIT, _UTF8 = 2, 0x8000, 1
_DATA_FILES = ("phontab", "phonindex", "phondata", "intonations", "en_dict")
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """espeak-ng with a private copy of the English part of its data.

    Use it in a ``with`` statement, which removes the copy at its end.

    Arguments
    ---------
    folder : str | Path, optional
        Where to put the copy; a temporary folder otherwise.

    Raises
    ------
    ImportError
        Where ``espeakng-loader`` is missing.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        loader = _import_loader()
        self._library = Path(loader.get_library_path())
        self._folder = Path(tempfile.mkdtemp(prefix="espeak-", dir=folder))
        source = Path(loader.get_data_path())
        data = self._folder / "espeak-ng-data"
        self._variant = data / "voices" / "!v" / "minivox"
        self._variant.parent.mkdir(parents=True)
        (data / "lang" / "gmw").mkdir(parents=True)
        for name in _DATA_FILES:
            shutil.copy(source / name, data / name)
        for voice in (source / "lang" / "gmw").glob("en*"):
            shutil.copy(voice, data / "lang" / "gmw" / voice.name)
        self._spoken = 0

    def __enter__(self) -> "Espeak":
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def say(
        self, text: str, voice: str, variant: str, seed: int = 1
    ) -> np.ndarray:
        """Speaks a text.

        Arguments
        ---------
        text : str
            What to say.
        voice : str
            An espeak voice, as its file below ``lang/``: "gmw/en-US".
        variant : str
            Text of the voice variant.
        seed : int
            Of espeak's own random numbers.

        Returns
        -------
        numpy.ndarray
            16-bit samples at 22050 Hz, without silence at either end.
        """
        self._spoken += 1
        copy = self._folder / f"{self._spoken}{self._library.suffix}"
        shutil.copy(self._library, copy)
        library = ctypes.CDLL(str(copy))
        self._variant.write_text(variant, encoding="utf-8")
        try:
            return _trim(self._speak(library, text, voice, seed))
        finally:
            self._variant.unlink()
            library.espeak_Terminate()
            _unload(library)
            copy.unlink()

    def _speak(
        self, library: ctypes.CDLL, text: str, voice: str, seed: int
    ) -> np.ndarray:
        chunks: list[bytes] = []

        def collect(samples: int | None, count: int, events: int) -> int:
            if samples and count:
                chunks.append(ctypes.string_at(samples, 2 * count))
            return 0

        callback = _CALLBACK(collect)
        rate = library.espeak_Initialize(
            _SYNCHRONOUS, 0, os.fsencode(self._folder), _DONT_EXIT
        )
        if rate != ESPEAK_RATE:
            raise RuntimeError(
                f"espeak-ng did not start from {self._folder}: expected a "
                f"sample rate of {ESPEAK_RATE}, got {rate}."
            )
        library.espeak_SetSynthCallback(callback)
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        name = f"{voice}+{self._variant.name}"
        if library.espeak_SetVoiceByName(name.encode()) != 0:
            raise ValueError(
                f"espeak-ng has no voice {voice!r}; expected the name of a "
                "file below its lang/ folder, such as 'gmw/en-US'."
            )
        data = text.encode() + b"\0"
        library.espeak_Synth(
            data, ctypes.c_size_t(len(data)), 0, 1, 0, _UTF8, None, None
        )
        return np.frombuffer(b"".join(chunks), dtype=np.int16)


def espeak_version() -> str:
    """Tells the version of espeak-ng that the corpus is made with.

    Returns
    -------
    str
    """
    library = ctypes.CDLL(_import_loader().get_library_path())
    library.espeak_Info.restype = ctypes.c_char_p
    return library.espeak_Info(None).decode()


def _import_loader():
    try:
        import espeakng_loader
    except ImportError as error:
        raise ImportError(
            "The embedded corpus is spoken by espeak-ng: "
            "pip install speechbrain_kd[demo]"
        ) from error
    return espeakng_loader


def _trim(samples: np.ndarray) -> np.ndarray:
    """Cuts silence at the ends, but for a tenth of a second."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 300)
    if not len(loud):
        return samples
    margin = ESPEAK_RATE // 10
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def _unload(library: ctypes.CDLL) -> None:
    close = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary
    close(library._handle)
