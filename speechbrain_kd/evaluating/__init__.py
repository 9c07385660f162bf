"""The steps of ``speechbrain-kd evaluate``.

``given`` reads what the options name, ``systems`` loads, embeds and scores,
``assess`` measures, ``run`` puts these together and writes the files. The
measures themselves are in ``speechbrain_kd.evaluation``.
"""
