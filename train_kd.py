#!/usr/bin/env python3
"""Trains a teacher, a baseline or a distilled student, evaluates, exports.

    python train_kd.py hparams/student.yaml
    python train_kd.py hparams/student.yaml --data_folder=/corpora/voxceleb1 \
        --teacher=hparams/teachers/spkrec_ecapa_voxceleb.yaml
    torchrun --nproc_per_node=2 train_kd.py hparams/student.yaml

Every key of the yaml is an option; SpeechBrain's run options work too.
"""

from speechbrain_kd.run import main

if __name__ == "__main__":
    main()
