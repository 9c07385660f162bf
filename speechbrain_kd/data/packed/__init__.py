"""Packed corpora: a few large files and an index instead of a million files.

``writer`` makes them (``speechbrain-kd pack``), ``verify`` checks them,
``index`` says what is in them, ``access`` reads them, and ``stream`` reads tar
shards in sequence. Everybody else names an utterance of a pack as
``<shard>#<start>+<size>`` and reads it with ``load_audio``.
"""
